"""What the dashboard reads must be the same from every database."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine
from telemetry_strategies import NOON, attempt_row, feedback_row

import serve.dashboard.queries.requests_query as requests_query
from serve.dashboard.queries.decision_query import read_request
from serve.dashboard.queries.feedback_query import read_judged_qualities, read_thumbs
from serve.dashboard.queries.requests_filter import RequestFilter, read_filter
from serve.dashboard.queries.requests_query import Cursor, read_choices, read_page
from serve.dashboard.queries.sample_query import SampleReader
from serve.dashboard.queries.usage_query import UsageReader, add_up
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.feedback_repository import FeedbackRepository

DAY = timedelta(days=1)


def row(number: int, **changes: Any) -> Any:
    return attempt_row(number, **{"request_id": f"req_{number:024x}", **changes})


def wanted(**query: str) -> RequestFilter:
    return read_filter(query, NOON + DAY, ZoneInfo("UTC"))


def walk(
    engine: Engine, what: RequestFilter, page_rows: int, cursor: Cursor | None = None
) -> tuple[list[str], Cursor | None]:
    """Return the ids of all pages from here to the oldest, and the cursor back from the last."""
    ids: list[str] = []
    while True:
        page = read_page(engine, "default", what, cursor, page_rows)
        ids += [row.request_id for row in page.rows]
        if page.older is None:
            return ids, page.newer
        cursor = page.older


def test_pages_hold_every_request_once_newest_first(engine: Engine) -> None:
    same_instant = [row(number, started_at=NOON) for number in range(5)]
    AttemptRepository(engine).insert_many(
        [*same_instant, *(row(number) for number in range(5, 12)), row(99, account="other")]
    )
    ids, back = walk(engine, wanted(), 3)
    assert ids == [f"req_{number:024x}" for number in range(11, -1, -1)]
    assert back is not None
    before = read_page(engine, "default", wanted(), back, 3)
    assert [row.request_id for row in before.rows] == ids[6:9]


def test_a_request_is_one_line_the_answer_if_there_was_one(engine: Engine) -> None:
    attempts = [
        row(1, outcome="timeout", cost_nusd=5),
        row(1, attempt=1, lane_id="b", cost_nusd=7),
        row(1, attempt=2, lane_id="c", outcome="superseded", cost_nusd=None),
        row(2, outcome="timeout"),
        row(2, attempt=1, lane_id="last", outcome="upstream_error"),
    ]
    AttemptRepository(engine).insert_many(attempts)
    page = read_page(engine, "default", wanted(), None)
    assert [row.lane_id for row in page.rows] == ["last", "b"]
    assert page.attempts[f"req_{1:024x}"] == (3, 12)


def test_a_filter_finds_attempts_that_another_one_made_good(engine: Engine) -> None:
    attempts = [
        row(1, lane_id="a", outcome="timeout"),
        row(1, attempt=1, lane_id="a", outcome="upstream_error"),
        row(1, attempt=2, lane_id="b"),
    ]
    AttemptRepository(engine).insert_many([*attempts, row(2, lane_id="b")])

    def attempts_of(**query: str) -> list[tuple[str, int]]:
        return [
            (line.request_id[-1], line.attempt) for line in read_page(engine, "default", wanted(**query), None).rows
        ]

    assert attempts_of(lane="a") == [("1", 1)]
    assert attempts_of(outcome="failed") == [("1", 1)]
    assert attempts_of(outcome="timeout") == [("1", 0)]
    assert attempts_of(lane="b") == [("2", 0), ("1", 2)]
    assert attempts_of(lane="a", outcome="ok") == []


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"lane": "b"}, [7, 3]),
        ({"model": "v/m"}, [3]),
        ({"key": "ci"}, [9, 7]),
        ({"outcome": "timeout"}, [9]),
        ({"outcome": "failed"}, [9, 8]),
        ({"outcome": "ok", "lane": "b"}, [7, 3]),
        ({"tag": 'a"b'}, [3]),
        ({"tag": "a"}, []),
        ({"key": "ci", "lane": "b"}, [7]),
        ({"outcome": "timeout", "key": "ci"}, [9]),
        ({"q": f"req_{9:024x}"}, [9]),
        ({"q": "0000", "lane": "b"}, [7, 3]),
        ({"q": "0", "lane": "b"}, [7, 3]),
        ({"q": "f"}, []),
        ({"since": "2026-11-01T12:00:08"}, [9, 8]),
        ({"until": "2026-11-01T12:00:04", "lane": "b"}, [3]),
        ({"lane": "' OR 1=1 --"}, []),
    ],
)
def test_a_filter_keeps_what_meets_all_of_it(engine: Engine, query: dict[str, str], numbers: list[int]) -> None:
    changes: dict[int, dict[str, Any]] = {
        3: {"lane_id": "b", "vendor_model": "v/m", "tags": ('a"b', "x")},
        7: {"lane_id": "b", "virtual_key_id": "ci", "tags": ("ü",)},
        8: {"outcome": "upstream_error"},
        9: {"outcome": "timeout", "virtual_key_id": "ci"},
    }
    AttemptRepository(engine).insert_many([row(number, **changes.get(number, {})) for number in range(10)])
    assert walk(engine, wanted(**query), 1)[0] == [f"req_{number:024x}" for number in numbers]


def test_a_rare_word_is_looked_for_step_by_step_and_found(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_query, "LOOKED_AT", 4)
    AttemptRepository(engine).insert_many(
        [row(number, tags=("rare",) if number == 2 else ("common",)) for number in range(20)]
    )
    first = read_page(engine, "default", wanted(tag="rare"), None)
    assert not first.rows
    assert first.stopped_at_us is not None
    assert walk(engine, wanted(tag="rare"), 50)[0] == [f"req_{2:024x}"]
    assert walk(engine, wanted(tag="common"), 3)[0] == [
        f"req_{number:024x}" for number in range(19, -1, -1) if number != 2
    ]


def test_choices_are_what_the_account_has_used(engine: Engine) -> None:
    AttemptRepository(engine).insert_many(
        [row(1, lane_id="b", virtual_key_id="k"), row(2, lane_id="a"), row(3, account="other", lane_id="z")]
    )
    assert read_choices(engine, "default") == {"lane": ["a", "b"], "model": ["sandbox/small"], "key": ["k"]}
    assert read_choices(engine, "nobody") == {"lane": [], "model": [], "key": []}


def test_a_request_of_another_account_is_not_there(engine: Engine) -> None:
    AttemptRepository(engine).insert_many([row(1, account="other"), row(2)])
    FeedbackRepository(engine).insert_many([feedback_row(2, request_id=f"req_{2:024x}", comment="fine")])
    assert read_request(engine, "default", f"req_{1:024x}") is None
    stored = read_request(engine, "default", f"req_{2:024x}")
    assert stored is not None
    assert stored.attempts == (row(2),)
    assert [feedback.comment for feedback in stored.feedback] == ["fine"]


def test_sums_are_of_one_account_and_one_span(engine: Engine) -> None:
    rows = [
        row(1, cost_nusd=5),
        row(1, attempt=1, lane_id="b", cost_nusd=7),
        row(2, outcome="timeout", cost_nusd=None),
        row(3, account="other"),
        row(4, started_at=NOON - DAY, cost_nusd=11),
    ]
    AttemptRepository(engine).insert_many(rows)
    usage = UsageReader(engine, lambda: NOON + DAY, lambda: 0.0)
    today, yesterday = usage.sums("default", NOON, NOON + DAY), usage.sums("default", NOON - DAY, NOON)
    assert [(s.lane_id, s.requests, s.attempts, s.answered, s.cost_nusd, s.unpriced) for s in today] == [
        ("b", 0, 1, 1, 7, 0),
        ("sandbox/small", 2, 2, 1, 5, 1),
    ]
    assert [s.cost_nusd for s in add_up([today, yesterday])] == [7, 16]


def test_what_lies_behind_is_remembered_and_what_goes_on_is_not(engine: Engine) -> None:
    usage = UsageReader(engine, lambda: NOON + DAY, lambda: 0.0)
    for until in (NOON, NOON + DAY):
        assert usage.sums("default", NOON - DAY, until) == ()
    AttemptRepository(engine).insert_many([row(1, started_at=NOON - timedelta(hours=3))])
    assert usage.sums("default", NOON - DAY, NOON) == ()
    assert len(usage.sums("default", NOON - DAY, NOON + DAY)) == 1


def test_a_sample_is_of_the_accounts_answers(engine: Engine) -> None:
    AttemptRepository(engine).insert_many(
        [row(1), row(2, outcome="timeout"), row(3, account="other"), row(4, candidates=None)]
    )
    [answer] = SampleReader(engine, lambda: 0.0).draw("default", NOON, 2)
    assert answer.lane_id == "sandbox/small"
    assert answer.candidates == row(1).candidates


def test_of_many_answers_a_part_is_drawn_by_chance(engine: Engine) -> None:
    import random

    ids = random.Random(0)
    AttemptRepository(engine).insert_many(
        [row(number, request_id=f"req_{ids.getrandbits(96):024x}") for number in range(400)]
    )
    drawn = SampleReader(engine, lambda: 0.0).draw("default", NOON, 10_000)  # as if there were so many
    assert 20 <= len(drawn) <= 60


def test_thumbs_are_counted_and_paired_with_what_was_predicted(engine: Engine) -> None:
    AttemptRepository(engine).insert_many([row(1), row(2), row(3, account="other")])
    given = [
        feedback_row(number, request_id=f"req_{number:024x}", value=value)
        for number, value in ((1, 1.0), (2, 0.0), (3, 1.0))
    ]
    FeedbackRepository(engine).insert_many(
        [*given, feedback_row(1, request_id=f"req_{1:024x}", metric_name="score", value=9.0)]
    )
    thumbs = read_thumbs(engine, "default", NOON)
    assert (thumbs.given, thumbs.up) == (2, 1)
    assert sorted(read_judged_qualities(engine, "default")) == [(0.5, 0.0), (0.5, 1.0)]


def test_a_sample_is_a_range_of_the_random_ids_of_the_account_and_the_span(engine: Engine) -> None:
    ids = [f"req_{number:02x}" + "0" * 22 for number in range(256)]
    elsewhere = {0: {"account": "other"}, 1: {"started_at": NOON - DAY}, 2: {"outcome": "timeout"}}
    rows = [row(number, request_id=ids[number], cost_nusd=number, **elsewhere.get(number, {})) for number in range(256)]
    AttemptRepository(engine).insert_many(rows)
    drawn = SampleReader(engine, lambda: 0.0).draw(
        "default", NOON, 16_000
    )  # as if there were so many: a sixteenth is drawn
    assert sorted(answer.cost_nusd or 0 for answer in drawn) == list(range(3, 16))
