"""The watch on a database: it learns for all workers, survives restarts, sends alarms, compares prompts and prices."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine
from telemetry_strategies import LANES, attempt_row, candidate_table, feedback_row

from router.expectation import shift_quality
from router.features import FEATURE_NAMES, FEATURES_VERSION
from router.lane import Lane
from router.lane_correction import Judged, LaneCorrection
from router.lane_learning import LearningTerms
from router.lane_table import LaneTable
from router.price_table import Price
from router.recent_shifts import RECENT_SHIFTS_FILE, RecentShifts
from router.reference_answers import ReferenceAnswers
from serve.alerts.outbox import AlertRepository
from serve.alerts.watch_alerts import WatchAlerts
from serve.alerts.watch_repository import Alarm, WatchRepository
from serve.instant import to_microseconds
from serve.storage.database import open_database
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.feedback_repository import FeedbackRepository
from serve.watch.bundle_shifts import BundleShifts
from serve.watch.lane_watch import LaneWatch, shifts_of_lanes
from serve.watch.price_watch import PriceWatch
from serve.watch.prompt_watch import PromptWatch
from serve.watch.report import read_report

NOW = datetime(2026, 11, 20, tzinfo=UTC)
NOW_US = to_microseconds(NOW)
VERSION = "base+12345678"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(str(tmp_path / "watch.db"))
    yield engine
    engine.dispose()


def answered(engine: Engine, count: int, first: int = 0, **changes: Any) -> None:
    begin = NOW - timedelta(hours=5)
    rows = [
        attempt_row(number, started_at=begin + timedelta(seconds=number), router_version=VERSION, **changes)
        for number in range(first, first + count)
    ]
    AttemptRepository(engine).insert_many(rows)


def judged(engine: Engine, numbers: range, value: float, after: timedelta = timedelta(hours=1), **changes: Any) -> None:
    begin = NOW - timedelta(hours=5) + after
    rows = [
        feedback_row(number, value=value, received_at=begin + timedelta(seconds=number), **changes)
        for number in numbers
    ]
    FeedbackRepository(engine).insert_many(rows)


def lane_watch(engine: Engine) -> LaneWatch:
    return LaneWatch(engine, WatchRepository(engine), LearningTerms())


def shift(engine: Engine, lane_id: str = LANES[0]) -> float:
    return lane_watch(engine).read()["default", VERSION].correction.shift_of(lane_id, "sandbox/small")[0]


def test_thumbs_down_move_the_lane_that_answered_and_a_restart_keeps_it(engine: Engine) -> None:
    answered(engine, 40)
    judged(engine, range(40), 0.0)
    lane_watch(engine).learn(NOW_US)
    assert shift(engine) < -0.3
    report = read_report(engine, LearningTerms(), "default", NOW_US)
    assert [line.lane_id for line in report.lanes] == [LANES[0]]
    assert report.lanes[0].n_answers == 40
    assert report.lanes[0].shift == pytest.approx(shift(engine), rel=0.1)


def test_feedback_is_learned_from_once_whoever_comes_and_how_often(engine: Engine) -> None:
    answered(engine, 10)
    judged(engine, range(10), 0.0)
    for _ in range(2):
        lane_watch(engine).learn(NOW_US)
    once = shift(engine)
    lane_watch(engine).learn(NOW_US + 60_000_000)
    assert shift(engine) == once
    stored = WatchRepository(engine).state(("feedback", "", ""))
    assert stored is not None
    assert not WatchRepository(engine).save(
        ("feedback", "", ""), stored.revision - 1, {("feedback", "", ""): {}}, NOW_US
    )


def test_a_stretch_with_more_feedback_than_is_read_at_once_is_read_in_full(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.watch.judged_answers.MOST_ROWS", 7)
    answered(engine, 30)
    judged(engine, range(30), 0.0)
    lane_watch(engine).learn(NOW_US)
    assert lane_watch(engine).read()["default", VERSION].tests[LANES[0]].n_answers == 30


def test_a_word_taken_back_counts_as_the_last_one(engine: Engine) -> None:
    answered(engine, 20)
    judged(engine, range(20), 0.0)
    lane_watch(engine).learn(NOW_US)
    down = shift(engine)
    judged(engine, range(20), 1.0, after=timedelta(hours=6))
    lane_watch(engine).learn(NOW_US + 2 * 3_600_000_000)
    assert shift(engine) > max(down, 0.1)


@pytest.mark.parametrize("outcome", ["client_disconnected", "broken_stream"])
def test_a_thumb_down_on_an_answer_that_was_stopped_counts_and_checks_of_it_do_not(
    engine: Engine, outcome: str
) -> None:
    answered(engine, 20, outcome=outcome, ttft_ms=200.0)
    answered(engine, 5, first=20, outcome=outcome, ttft_ms=None)
    judged(engine, range(25), 0.0)
    judged(engine, range(25), 1.0, metric_name="asked_again", given_by="check:asked_again")
    lane_watch(engine).learn(NOW_US)
    learning = lane_watch(engine).read()["default", VERSION]
    assert shift(engine) < -0.2
    assert learning.tests[LANES[0]].n_answers == 20
    assert learning.faults.counts == {}


def test_one_judgement_of_a_whole_conversation_counts_once(engine: Engine) -> None:
    at = NOW - timedelta(hours=3)
    answered(engine, 20, conversation_id="c" * 24)
    answered(engine, 1, first=20, conversation_id="d" * 24, account="one")
    FeedbackRepository(engine).insert_many([feedback_row(number, value=0.0, received_at=at) for number in range(21)])
    lane_watch(engine).learn(NOW_US)
    learned = lane_watch(engine).read()
    whole, one = (learned[account, VERSION].correction.shift_of(LANES[0], "")[0] for account in ("default", "one"))
    assert whole == pytest.approx(one, rel=0.05)


def test_what_was_predicted_with_a_shift_is_compared_without_it(engine: Engine) -> None:
    table = candidate_table()
    by = np.array([1.5, 0.0, 0.0])
    shifted, _ = shift_quality(table.quality.astype(np.float64), table.quality_std.astype(np.float64), by)
    answered(engine, 10)
    answered(engine, 10, first=10, candidates=replace(table, quality=shifted, quality_shift=by), account="shifted")
    judged(engine, range(20), 0.0)
    lane_watch(engine).learn(NOW_US)
    learned = lane_watch(engine).read()
    shifts = {account: learning.correction.shift_of(LANES[0], "")[0] for (account, _), learning in learned.items()}
    assert shifts["shifted"] == pytest.approx(shifts["default"], abs=1e-4)


def test_a_row_that_cannot_be_read_is_not_in_the_way_of_others(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    answered(engine, 5)
    answered(engine, 1, first=5, lane_id="nowhere/none")
    judged(engine, range(6), 0.0)
    lane_watch(engine).learn(NOW_US)
    assert lane_watch(engine).read()["default", VERSION].tests[LANES[0]].n_answers == 5
    assert "request-000005 is passed over" in caplog.text


def test_one_accounts_feedback_moves_no_other_accounts_lanes(engine: Engine) -> None:
    answered(engine, 10, account="theirs")
    judged(engine, range(10), 0.0)
    lane_watch(engine).learn(NOW_US)
    assert set(lane_watch(engine).read()) == {("theirs", VERSION)}


def test_the_shifts_are_laid_out_for_the_lanes_and_fade(engine: Engine) -> None:
    answered(engine, 40)
    judged(engine, range(40), 0.0)
    lane_watch(engine).learn(NOW_US)
    table = LaneTable.build([lane(LANES[1]), lane(LANES[0])], ())
    [learning] = lane_watch(engine).read().values()
    shifts = shifts_of_lanes(learning, table, NOW_US / 1e6)
    assert shifts is not None
    assert shifts[1] < shifts[0] <= 0
    assert shifts_of_lanes(learning, table, NOW_US / 1e6 + 400 * 86_400) is None


def test_under_a_bundle_that_learned_from_logs_the_watch_begins_with_what_they_said_last(
    engine: Engine, tmp_path: Path
) -> None:
    correction = LaneCorrection()
    for number in range(8):
        correction.learn(Judged(LANES[0], "sandbox/small", 0.7, 0.0, 0.0, NOW.timestamp() - 60 * number))
    (tmp_path / RECENT_SHIFTS_FILE).write_bytes(RecentShifts(VERSION, correction).to_bytes())
    beginnings = BundleShifts(lambda: [tmp_path])
    watch = LaneWatch(engine, WatchRepository(engine), LearningTerms(), beginnings)
    assert watch.look()
    assert not watch.look()
    begun = watch.beginnings()[VERSION].correction.shift_of(LANES[0], "sandbox/small")[0]
    assert begun < -0.5
    answered(engine, 2)
    judged(engine, range(2), 1.0)
    watch.learn(NOW_US)
    assert begun < shift(engine) < -0.2  # two thumbs up are heard, and do not outweigh eight down


def test_shifts_that_cannot_be_read_are_told_of_and_the_watch_begins_from_nothing(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / RECENT_SHIFTS_FILE).write_text("{}")
    watch = LaneWatch(engine, WatchRepository(engine), LearningTerms(), BundleShifts(lambda: [tmp_path]))
    with caplog.at_level(logging.ERROR, "llmdeal.watch"):
        watch.look()
    assert "begins from nothing" in caplog.text
    assert watch.beginnings() == {}


def test_a_lane_that_fails_for_hours_rings_and_is_told_once_a_day(engine: Engine) -> None:
    answered(engine, 400)
    judged(engine, range(400), 0.0)
    alarms = lane_watch(engine).learn(NOW_US)
    assert {alarm.kind for alarm in alarms} >= {"calibration"}
    watch_alerts = WatchAlerts(AlertRepository(engine))
    watch_alerts.tell(alarms * 2, NOW_US)
    watch_alerts.tell(alarms, NOW_US)
    bodies = []
    while (due := AlertRepository(engine).take_due(NOW_US, NOW_US + 1_000_000)) is not None:
        bodies.append(json.loads(due.body))
    assert len(bodies) == len({(alarm.kind, alarm.subject) for alarm in alarms})
    assert bodies[0]["type"] == "watch.alarm"
    assert bodies[0]["data"]["account"] == "default"


def lane(lane_id: str, input_usd: str = "1", output_usd: str = "2") -> Lane:
    price = Price(Decimal(input_usd), Decimal(output_usd), "a test", date(2026, 11, 1))
    provider, _, name = lane_id.partition("/")
    return Lane(lane_id, provider, name, lane_id, provider, price)


def test_a_price_that_changed_by_more_than_the_threshold_rings_once(engine: Engine) -> None:
    watch = PriceWatch(WatchRepository(engine), 20.0)
    first = LaneTable.build([lane("p/a"), lane("p/b"), lane("p/gone")], ())
    assert watch.look("default", first, NOW_US) == []
    second = LaneTable.build([lane("p/a", "1.5"), lane("p/b", "1.1"), lane("p/new")], ())
    [alarm] = watch.look("default", second, NOW_US + 1)
    assert (alarm.subject, alarm.measure) == ("p/a", 50.0)
    assert watch.look("default", second, NOW_US + 2) == []
    assert [one.subject for one in watch.look("default", LaneTable.build([lane("p/gone", "0.1")], ()), NOW_US + 3)] == [
        "p/gone"
    ]
    assert WatchRepository(engine).alarms(NOW_US, "default")[-1] == alarm


def prompts(engine: Engine, count: int, day: float, seed: int, longer: float = 1.0) -> None:
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        features = rng.random(len(FEATURE_NAMES)).astype(np.float32)
        table = replace(candidate_table(), quality=rng.uniform(0.3, 0.9, 3).astype(np.float32))
        rows.append(
            attempt_row(
                number,
                request_id=f"{day}-{number}",
                started_at=NOW - timedelta(days=day) + timedelta(minutes=number * 10),
                conversation_id=f"{day}-{number}",
                router_version=VERSION,
                features=features,
                features_version=FEATURES_VERSION,
                prompt_characters=int(rng.lognormal(6) * longer),
                candidates=table,
            )
        )
    AttemptRepository(engine).insert_many(rows)


def prompt_watch(engine: Engine) -> PromptWatch:
    rng = np.random.default_rng(9)
    quality = rng.uniform(0.3, 0.9, (300, 1)).astype(np.float32)
    one, many = np.ones(300, np.float32), np.ones((300, 1), np.float32)
    place = np.zeros(300, np.uint16)
    reference = ReferenceAnswers(quality, many, many, many, one, one * 100, place, place, np.array(["a/b"]))
    return PromptWatch(engine, WatchRepository(engine), 0.2, lambda: (VERSION, lambda: reference))


@pytest.mark.slow
def test_longer_prompts_than_before_ring_and_like_ones_do_not(engine: Engine) -> None:
    table = LaneTable.build([replace(lane(LANES[0]), trained_name="small")], ["small"])
    prompts(engine, 600, 30, 0)
    prompts(engine, 600, 6, 1)
    assert prompt_watch(engine).look("default", table, NOW_US) == []
    state = WatchRepository(engine).state(("prompts", "default", ""))
    assert state is not None
    assert state.value["n_now"] > 500
    assert {name for name, _ in state.value["against_bundle"]} == {"prompt_tokens", "ease"}
    prompts(engine, 300, 2, 2, longer=8.0)
    assert prompt_watch(engine).look("default", table, NOW_US) == []  # not yet a day later
    rung = prompt_watch(engine).look("default", table, NOW_US, is_due=True)
    assert {alarm.subject for alarm in rung} == {"prompt_tokens"}


def test_too_few_prompts_are_not_compared(engine: Engine) -> None:
    prompts(engine, 20, 3, 0)
    comparison = prompt_watch(engine).compare("default", LaneTable.build([lane(LANES[0])], ()), NOW_US)
    assert comparison == {"n_before": 0, "n_now": 20, "numbers": [], "against_bundle": []}


def test_alarms_of_the_last_day_ring_and_older_ones_are_only_told(engine: Engine) -> None:
    repository = WatchRepository(engine)
    old = Alarm("default", "price", "p/a", NOW_US - 3 * 86_400_000_000, 50.0, 20.0, "changed")
    repository.save(("prices", "default", ""), 0, {("prices", "default", ""): {}}, NOW_US, [old])
    report = read_report(engine, LearningTerms(), "default", NOW_US)
    assert (report.ringing, report.alarms) == ([], [old])


def test_an_alarm_that_rings_again_is_shown_once_as_it_was_last(engine: Engine) -> None:
    repository, name = WatchRepository(engine), ("prices", "default", "")
    rung = [
        Alarm("default", "quality", lane_id, NOW_US - back, 1.0, 1.0, f"{back} ago")
        for lane_id in "ab"
        for back in (9, 5)
    ]
    repository.save(name, 0, {name: {}}, NOW_US, rung)
    report = read_report(engine, LearningTerms(), "default", NOW_US)
    assert sorted((alarm.subject, alarm.message) for alarm in report.ringing) == [("a", "5 ago"), ("b", "5 ago")]
    assert len(report.alarms) == 4
