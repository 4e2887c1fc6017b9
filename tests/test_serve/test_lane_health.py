"""Cool-downs and speeds, and what a provider's refusal means for them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import pytest

from router.lane import Lane
from router.lane_table import LaneTable
from router.price_table import Price
from serve.upstream.lane_health import DEFAULT_LIMIT_REST_S, LaneHealth
from serve.upstream.verdict import judge_status, read_retry_after, read_retry_delay

PRICE = Price(Decimal(1), Decimal(1), "a test", date(2026, 11, 1))
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class StillClock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def health(clock: StillClock) -> LaneHealth:
    names = [("one", "org"), ("two", "org"), ("three", "other")]
    lanes = [Lane(f"p/{name}", "p", name, f"v/{name}", account, PRICE) for name, account in names]
    return LaneHealth(LaneTable.build(lanes, ()), clock.monotonic)


def cooling(health: LaneHealth) -> list[bool]:
    return health.state().is_cooling.tolist()


def test_a_limit_rests_every_lane_of_the_account_for_as_long_as_the_provider_says(health: LaneHealth, clock: StillClock) -> None:
    health.note_limit(0, 30.0)
    assert cooling(health) == [True, True, False]
    assert health.seconds_until_any() == pytest.approx(30)
    clock.seconds += 30
    assert cooling(health) == [False, False, False]
    assert health.seconds_until_any() is None


def test_a_limit_without_a_word_on_how_long_rests_the_default(health: LaneHealth, clock: StillClock) -> None:
    health.note_limit(0, None)
    clock.seconds += DEFAULT_LIMIT_REST_S - 0.1
    assert cooling(health)[0]


def test_a_failure_rests_its_lane_alone_and_longer_each_time(health: LaneHealth, clock: StillClock) -> None:
    health.note_failure(0)
    assert cooling(health) == [True, False, False]
    clock.seconds += 1
    assert not cooling(health)[0]
    health.note_failure(0)
    clock.seconds += 1.5
    assert cooling(health)[0]


def test_an_answer_ends_the_run_of_failures(health: LaneHealth, clock: StillClock) -> None:
    for _ in range(5):
        health.note_failure(0)
    clock.seconds += 100
    health.note_success(0, 50.0, 150.0, 10)
    health.note_failure(0)
    clock.seconds += 1
    assert not cooling(health)[0]


def test_no_rest_is_endless(health: LaneHealth, clock: StillClock) -> None:
    health.note_limit(0, 1e12)
    clock.seconds += 3_601
    assert not cooling(health)[0]


def test_speeds_follow_what_was_measured(health: LaneHealth) -> None:
    before = health.state().ttft_ms[0]
    for _ in range(60):
        health.note_success(0, 100.0, 1_100.0, 100)
    assert health.state().ttft_ms[0] == pytest.approx(100, rel=0.05)
    assert health.state().ms_per_token[0] == pytest.approx(10, rel=0.05)
    assert health.state().ttft_ms[1] == before


@pytest.mark.parametrize(
    ("status", "outcome", "may_fall_back", "rest"),
    [
        (429, "rate_limited", True, "account"),
        (503, "upstream_error", True, "lane"),
        (529, "upstream_error", True, "lane"),
        (500, "upstream_error", True, "lane"),
        (404, "upstream_error", True, "lane"),
        (302, "upstream_error", True, "lane"),
        (401, "upstream_error", True, "credentials"),
        (402, "upstream_error", True, "credentials"),
        (400, "upstream_error", False, "none"),
        (422, "upstream_error", False, "none"),
    ],
)
def test_a_status_says_whose_fault_it_was(status: int, outcome: str, may_fall_back: bool, rest: str) -> None:
    verdict = judge_status(status)
    assert (verdict.outcome, verdict.may_fall_back, verdict.rest) == (outcome, may_fall_back, rest)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_how_long_to_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers, lambda: NOW) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('{"error": {"details": [{"@type": "x"}, {"@type": "google.rpc.RetryInfo", "retryDelay": "34.07s"}]}}', 34.07),
        ('{"error": {"details": [{"retryDelay": "soon"}]}}', None),
        ('{"error": {"message": "no"}}', None),
        ('{"error": "no"}', None),
        ("<html>", None),
    ],
)
def test_googles_body_says_how_long_to_wait(text: str, seconds: float | None) -> None:
    assert read_retry_delay(text) == seconds
