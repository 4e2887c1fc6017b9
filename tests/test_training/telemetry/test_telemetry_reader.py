"""Learning and judging read what the gateway exported, from the oldest schema version on."""

import json
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkout import FIXTURES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from telemetry_strategies import LANES, NOON, attempt_row, attempt_rows, candidate_table, feedback_row, feedback_rows

from router.telemetry_schema import AttemptRow, Candidate, CandidateTable, FeedbackRow, LaneRow
from serve.storage.database import open_database
from serve.storage.tables import ATTEMPT_TABLE, FEEDBACK_TABLE
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.export.export import export_telemetry
from serve.telemetry.feedback_repository import FeedbackRepository
from serve.telemetry.priced_lane_repository import PricedLaneRepository
from training.errors import TelemetryError
from training.telemetry.lane_book import LoggedLane
from training.telemetry.logged_requests import LoggedRequests
from training.telemetry.reader import iterate_logs, open_logs, read_logs

FIXTURES = FIXTURES
VERSION_1, VERSION_2, VERSION_3, VERSION_4 = (FIXTURES / f"telemetry_v{version}" for version in (1, 2, 3, 4))
DAY = timedelta(days=1)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(str(tmp_path / "telemetry.db"))
    yield engine
    engine.dispose()


def log(engine: Engine, *rows: AttemptRow | FeedbackRow) -> None:
    AttemptRepository(engine).insert_many([row for row in rows if isinstance(row, AttemptRow)])
    FeedbackRepository(engine).insert_many([row for row in rows if isinstance(row, FeedbackRow)])


def exported(engine: Engine, out: Path, *rows: AttemptRow | FeedbackRow, **sizes: int) -> Path:
    log(engine, *rows)
    export_telemetry(engine, NOON - 30 * DAY, NOON + 30 * DAY, out, **sizes)
    return out


def assert_same(left: LoggedRequests, right: LoggedRequests) -> None:
    for name in LoggedRequests.__dataclass_fields__:
        one, other = getattr(left, name), getattr(right, name)
        same = (
            np.array_equal(one, other, equal_nan=one.dtype.kind == "f") if isinstance(one, np.ndarray) else one == other
        )
        assert same, name


def test_an_export_of_version_1_can_still_be_read() -> None:
    logs = read_logs(VERSION_1)

    assert len(logs) == 38
    assert logs.lane_ids == ("down/llama", "sandbox/large", "sandbox/medium", "sandbox/reasoning", "sandbox/small")
    assert logs.trained_names == (None,) * 5
    assert logs.lane_book is not None
    assert logs.lane_book.latest["down/llama"] == LoggedLane("meta/llama-3.1-70b")
    assert logs.max_output_tokens is not None
    assert np.isnan(logs.max_output_tokens).all()
    assert logs.fallback_tier is not None
    assert not logs.fallback_tier.any()
    assert logs.features.shape == (38, 59)
    assert logs.features_version == 2
    assert (np.diff(logs.started_at) >= np.timedelta64(0)).all()
    assert np.isfinite(logs.reward).sum() == 23
    assert np.allclose(logs.probability.sum(axis=1), 1)
    assert (np.take_along_axis(logs.probability, logs.chosen[:, None], 1)[:, 0] == logs.propensity).all()
    assert sorted(set(logs.policies)) == ["best_value", "cheapest_above_bar", "near_best", "pinned"]
    assert all("Answer" in prompt for prompt in logs.prompts)
    assert len(np.unique(logs.clusters())) == 21
    (fallen,) = np.flatnonzero(~logs.is_answered)
    assert logs.lane_ids[logs.chosen[fallen]] == "down/llama"
    assert logs.cost_usd[fallen] == pytest.approx(9.32e-6)
    assert np.isnan(logs.reward[fallen])


def test_an_export_of_version_3_can_still_be_read() -> None:
    logs = read_logs(VERSION_3)

    assert logs.lane_ids == ("sandbox/large", "sandbox/small")
    assert logs.fallback_tier is not None
    assert logs.fallback_tier.tolist() == [[1, 0], [0, 0]]
    assert logs.lane_book is not None
    assert logs.lane_book.latest["sandbox/small"] == LoggedLane("sandbox/small", "small-1", 0.25, 0.75, 0.5, 2.0)


def test_an_export_of_version_4_can_still_be_read() -> None:
    logs = read_logs(VERSION_4)

    assert logs.lane_book is not None
    assert logs.lane_book.latest["sandbox/small"].effort == "high"
    assert logs.reasoning_tokens is not None
    assert logs.reasoning_tokens.tolist() == [3, 0]


def test_the_effort_of_a_lane_comes_back(engine: Engine, tmp_path: Path) -> None:
    lane = LaneRow(
        price_snapshot_id="prices",
        lane_id=LANES[0],
        provider="sandbox",
        upstream_model="small",
        vendor_model="sandbox/small",
        input_usd_per_mtok=0.5,
        output_usd_per_mtok=2.0,
        noted_at=NOON,
        effort="high",
    )
    PricedLaneRepository(engine).put([lane, replace(lane, lane_id=LANES[1], effort=None)])
    row = attempt_row(price_snapshot_id="prices")

    book = read_logs(exported(engine, tmp_path / "out", row)).lane_book

    assert book is not None
    assert [book.latest[lane_id].effort for lane_id in LANES[:2]] == ["high", None]


def test_an_export_of_version_2_can_still_be_read() -> None:
    logs = read_logs(VERSION_2)

    assert logs.lane_ids == ("sandbox/eu", "sandbox/large", "sandbox/small")
    assert logs.trained_names == (None, None, "small-1")
    noted = LoggedLane("sandbox/small", "small-1", 0.25, 0.75, 0.5, 2.0)
    assert logs.lane_book is not None
    assert logs.lane_book.latest["sandbox/small"] == logs.lane_book.at["prices", "sandbox/small"] == noted
    columns = (
        logs.belief_shift,
        logs.fallback_tier,
        logs.max_output_tokens,
        logs.quality_of_best,
        logs.price_snapshots,
    )
    shift, fallback_tier, limits, shares, snapshots = (np.empty(0) if column is None else column for column in columns)
    assert shift.tolist() == [[-0.25, 0, 0.5]] * 3
    assert fallback_tier.tolist() == [[0, 0, 0]] * 3  # the log does not say
    assert np.array_equal(shares, [np.nan, 0.9, np.nan], equal_nan=True)
    assert (limits.tolist(), snapshots.tolist()) == ([64] * 3, ["prices"] * 3)
    assert np.array_equal(logs.reward, [1, np.nan, np.nan], equal_nan=True)


def test_a_row_has_the_logged_values(engine: Engine, tmp_path: Path) -> None:
    answer: dict[str, Any] = {"total_ms": 125.0, "quality_bar": 0.5, "quality_of_best": 0.9, "max_output_tokens": 77}
    names = {"policy": "softmax", "router_version": "base-1", "price_snapshot_id": "today"}
    row = attempt_row(7, conversation_id="talk", prompt_text="why?", **names, **answer)

    logs = read_logs(exported(engine, tmp_path / "out", row))

    order = [LANES.index(lane_id) for lane_id in logs.lane_ids]
    table = candidate_table()
    assert logs.lane_ids == tuple(sorted(LANES))
    assert (logs.request_ids.tolist(), logs.accounts.tolist()) == ([row.request_id], ["default"])
    assert (logs.conversation_ids.tolist(), logs.policies.tolist(), logs.router_versions.tolist()) == (
        ["talk"],
        ["softmax"],
        ["base-1"],
    )
    assert logs.prompts.tolist() == ["why?"]
    assert logs.started_at.tolist() == [row.started_at.replace(tzinfo=None)]
    assert logs.features.tolist() == [[0.5, -1.25, 3]]
    assert logs.quality[0].tolist() == table.quality[order].tolist()
    assert np.array_equal(
        logs.expected_latency_ms[0], table.expected_latency_ms[order].astype(np.float32), equal_nan=True
    )
    assert logs.is_eligible[0].tolist() == [lane != "sandbox/eu" for lane in logs.lane_ids]
    assert logs.probability[0].tolist() == table.probability[order].astype(np.float32).tolist()
    assert (logs.lane_ids[logs.chosen[0]], logs.propensity[0]) == (LANES[0], 0.9)
    assert (logs.prompt_tokens[0], logs.answer_tokens[0], logs.latency_ms[0], logs.cost_usd[0]) == (
        11,
        7,
        125,
        1_234e-9,
    )
    assert logs.quality_bar[0] == 0.5
    optional = (logs.quality_of_best, logs.max_output_tokens, logs.price_snapshots)
    assert [None if column is None else column.tolist() for column in optional] == [[0.9], [77], ["today"]]
    assert np.isnan([logs.willingness_to_pay_usd[0], logs.reward[0], logs.reward_std[0]]).all()
    assert logs.is_answered.tolist() == [True]


def test_parts_and_slices_of_any_size_make_up_the_whole(engine: Engine, tmp_path: Path) -> None:
    rows = [
        attempt_row(n, prompt_text="x" * n, features=None if n % 3 else np.full(3, n, np.float32)) for n in range(20)
    ]
    out = exported(engine, tmp_path / "out", *rows, feedback_row(3), chunk_rows=2, file_rows=6)

    logs, parts = read_logs(out), list(iterate_logs(out, 7))

    assert [len(part) for part in parts] == [7, 7, 6]
    assert logs.request_ids.tolist() == [row.request_id for row in rows]
    assert np.concatenate([part.features for part in parts]).tolist()[0] == logs.features[0].tolist() == [0.0, 0.0, 0.0]
    start = 0
    for part in parts:
        assert_same(part, logs.rows(np.arange(start, start + len(part))))
        start += len(part)
    assert_same(open_logs(out).read(5, 9), logs.rows(np.arange(5, 9)))


def test_lanes_that_come_and_go_share_one_list(engine: Engine, tmp_path: Path) -> None:
    new_lane = CandidateTable.from_candidates([Candidate("new/lane", quality=0.5, probability=1.0)])
    rows = [attempt_row(0), attempt_row(1, candidates=new_lane, lane_id="new/lane", propensity=1.0), attempt_row(2)]

    logs = read_logs(exported(engine, tmp_path / "out", *rows, chunk_rows=1))

    assert logs.lane_ids == tuple(sorted((*LANES, "new/lane")))
    column = logs.lane_ids.index("new/lane")
    assert logs.is_eligible[:, column].tolist() == [False, True, False]
    assert np.isnan(logs.quality[:, column]).tolist() == [True, False, True]
    assert logs.probability.sum(axis=1) == pytest.approx(1)
    assert logs.chosen[1] == column


def test_only_drawn_attempts_are_rows_and_the_others_add_to_the_cost(engine: Engine, tmp_path: Path) -> None:
    failed: dict[str, Any] = {"outcome": "upstream_error", "cost_nusd": 0}
    rows = [
        # a retry on the drawn lane
        *(attempt_row(0, **failed), attempt_row(0, attempt=1, cost_nusd=5)),
        # a fallback
        *(attempt_row(1, **failed), attempt_row(1, attempt=1, propensity=None, lane_id=LANES[1], cost_nusd=7)),
        # a race
        *(
            attempt_row(2, cost_nusd=None),
            attempt_row(2, attempt=1, propensity=None, outcome="superseded", cost_nusd=1),
        ),
        attempt_row(3, candidates=None),
        attempt_row(4, endpoint="/v1/embeddings"),
    ]

    logs = read_logs(exported(engine, tmp_path / "out", *rows, *map(feedback_row, range(5)), chunk_rows=1, file_rows=1))

    assert logs.request_ids.tolist() == [f"request-{n:06}" for n in range(3)]
    assert logs.is_answered.tolist() == [True, False, True]
    assert np.array_equal(logs.cost_usd, [5e-9, 7e-9, np.nan], equal_nan=True)
    assert np.array_equal(logs.reward, [1, np.nan, 1], equal_nan=True)  # a fallback's praise says nothing here
    assert set(logs.chosen) == {logs.lane_ids.index(LANES[0])}


def test_late_feedback_counts_and_the_last_value_of_each_giver_stands(engine: Engine, tmp_path: Path) -> None:
    feedback = [
        feedback_row(0, received_at=NOON + 9 * DAY),
        *(feedback_row(1, value=1.0), feedback_row(1, value=0.0, received_at=NOON + DAY)),
        *(feedback_row(2, value=1.0), feedback_row(2, value=0.0, given_by="another")),
        feedback_row(3, metric_name="words_of_its_own", value=9.0),
        feedback_row(77),
    ]

    logs = read_logs(exported(engine, tmp_path / "out", *map(attempt_row, range(4)), *feedback))

    assert np.array_equal(logs.reward, [1, 0, 0.5, np.nan], equal_nan=True)
    assert logs.reward_std[2] < logs.reward_std[0]


def test_exports_in_one_folder_are_read_together_and_shared_rows_count_once(engine: Engine, tmp_path: Path) -> None:
    log(engine, *map(attempt_row, range(10)), *map(feedback_row, range(10)))
    whole = tmp_path / "whole"
    export_telemetry(engine, NOON, NOON + DAY, whole)
    for name, first, last in (("a", 0, 6), ("b", 4, 10), ("c", 90, 91)):
        export_telemetry(
            engine, NOON + timedelta(seconds=first), NOON + timedelta(seconds=last), tmp_path / "many" / name
        )
    export_telemetry(engine, NOON + timedelta(seconds=50), NOON + DAY, tmp_path / "many" / "late_feedback")

    assert_same(read_logs(tmp_path / "many"), read_logs(whole))


def test_of_two_copies_the_one_in_the_newer_export_counts(engine: Engine, tmp_path: Path) -> None:
    out = tmp_path / "many"
    log(engine, attempt_row(0, prompt_text="kept at first"))
    export_telemetry(engine, NOON, NOON + DAY, out / "z")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE attempt SET prompt_text = NULL")
    export_telemetry(engine, NOON, NOON + 2 * DAY, out / "a")

    assert read_logs(out).prompts.tolist() == [None]


def test_the_window_holds_for_requests_and_not_for_their_feedback(engine: Engine, tmp_path: Path) -> None:
    out = exported(engine, tmp_path / "out", *map(attempt_row, range(5)), feedback_row(2, received_at=NOON + DAY))

    logs = read_logs(out, NOON + timedelta(seconds=1), NOON + timedelta(seconds=3))

    assert logs.request_ids.tolist() == ["request-000001", "request-000002"]
    assert np.array_equal(logs.reward, [np.nan, 1], equal_nan=True)


def test_an_export_without_requests_is_no_error(engine: Engine, tmp_path: Path) -> None:
    logs = read_logs(exported(engine, tmp_path / "out"))

    assert (len(logs), logs.lane_ids, logs.quality.shape) == (0, (), (0, 0))
    assert list(iterate_logs(tmp_path / "out")) == []
    assert len(read_logs(VERSION_1, since=datetime(2030, 1, 1, tzinfo=UTC))) == 0


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(attempt_rows(), max_size=4, unique_by=lambda row: (row.request_id, row.attempt)),
    st.lists(feedback_rows(), max_size=3),
)
@pytest.mark.slow
def test_every_row_that_the_schema_allows_is_read(
    engine: Engine, tmp_path: Path, rows: list[AttemptRow], feedback: list[FeedbackRow]
) -> None:
    with engine.begin() as connection:
        for table in (ATTEMPT_TABLE, FEEDBACK_TABLE):
            connection.execute(table.delete())
    log(engine, *rows, *feedback)
    export_telemetry(engine, datetime(1960, 1, 1, tzinfo=UTC), datetime(2300, 1, 1, tzinfo=UTC), tmp_path / "out")

    logs = read_logs(tmp_path / "out")

    drawn = {
        row.request_id
        for row in rows
        if row.candidates is not None and row.propensity is not None and row.propensity > 0
    }
    assert set(logs.request_ids.tolist()) == drawn
    by_id = {(row.request_id, row.lane_id) for row in rows}
    assert {(str(name), logs.lane_ids[lane]) for name, lane in zip(logs.request_ids, logs.chosen, strict=True)} <= by_id
    assert logs.quality.shape == (len(drawn), len(logs.lane_ids))


def test_a_reader_can_be_sent_to_another_process() -> None:
    reader = open_logs(VERSION_1)

    assert_same(pickle.loads(pickle.dumps(reader)).read(3, 9), reader.read(3, 9))


def copy_of_version_1(folder: Path) -> Path:
    return Path(shutil.copytree(VERSION_1, folder / "copy"))


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    copy = copy_of_version_1(tmp_path)
    path = copy / "feedback" / "date=2026-11-26" / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    with pytest.raises(
        TelemetryError, match=r"part-00000.parquet: is not what the manifest says .*: copy the export again"
    ):
        read_logs(copy)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    copy = copy_of_version_1(tmp_path)
    (copy / "attempts" / "date=2026-11-26" / "part-00000.parquet").unlink()

    with pytest.raises(TelemetryError, match=r"part-00000.parquet: cannot be read"):
        read_logs(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"schema_version": 99},
            r"is of telemetry schema version 99, this program reads up to version \d: upgrade llmdeal here",
        ),
        ({"schema_version": None}, "has no valid schema version"),
        ({"format": "something"}, "is not the manifest of an export"),
        ({"files": None}, "lacks its list of files"),
        ({"files": [{"path": "../../x", "sha256": ""}]}, "names a file outside its folder"),
        ({"files": ["x"]}, "describes a file as 'x'"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    copy = copy_of_version_1(tmp_path)
    manifest = copy / "export.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))

    with pytest.raises(TelemetryError, match=message):
        read_logs(copy)


def test_a_folder_without_an_export_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(TelemetryError, match="holds no telemetry export: make one with 'llmdeal export"):
        read_logs(tmp_path)


def test_the_belief_shift_is_the_sum_of_both_online_shifts(engine: Engine, tmp_path: Path) -> None:
    shifted = replace(
        candidate_table(),
        quality_shift=np.array([0.5, np.nan, -0.25], np.float32),
        account_shift=np.array([0.25, 1, np.nan]),
    )
    out = exported(engine, tmp_path / "export", attempt_row(0), attempt_row(1, candidates=shifted))

    shift = read_logs(out).belief_shift

    assert shift is not None
    by_lane = {lane: shift[:, column].tolist() for column, lane in enumerate(read_logs(out).lane_ids)}
    assert by_lane == {LANES[0]: [0, 0.75], LANES[1]: [0, 1], LANES[2]: [0, -0.25]}


def test_a_failed_first_lane_counts_with_the_wait_and_the_reward_of_its_fallback(
    engine: Engine, tmp_path: Path
) -> None:
    failed = attempt_row(attempt=0, outcome="upstream_error", total_ms=50.0, overhead_ms=None)
    answer = replace(
        failed, attempt=1, lane_id=LANES[1], propensity=None, outcome="ok", total_ms=1_000.0, overhead_ms=60.0
    )
    thumb = feedback_row(request_id=failed.request_id, metric_name="thumbs", value=1.0)

    logs = read_logs(exported(engine, tmp_path / "out", failed, answer, thumb))

    assert logs.latency_ms.tolist() == [1_060.0]
    assert np.isnan(logs.reward).all()  # it says nothing about the drawn lane
    assert np.isfinite(logs.outcome_reward).all()
    assert not logs.failures.any()
