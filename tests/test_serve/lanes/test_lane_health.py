"""Cool-downs, limits and speeds of lanes."""

from datetime import date
from decimal import Decimal

import pytest
from fakes.still_clock import StillClock

from router.lane import Lane
from router.lane_table import LaneTable
from router.price_table import Price
from serve.lanes.health import DEFAULT_LIMIT_REST_S, LaneHealth
from serve.lanes.rate_limit_headers import RateLimits, Window
from serve.upstream.upstream_terms import UpstreamTerms

PRICE = Price(Decimal(1), Decimal(1), "a test", date(2026, 11, 1))
LANES = [
    Lane(f"p/{name}", "p", name, f"v/{name}", account, PRICE)
    for name, account in [("one", "org"), ("two", "org"), ("three", "other")]
]


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def health(clock: StillClock) -> LaneHealth:
    return LaneHealth(LaneTable.build(LANES, ()), clock.monotonic)


def cooling(health: LaneHealth) -> list[bool]:
    return health.state().is_cooling.tolist()


def test_a_limit_rests_every_lane_of_the_account_for_as_long_as_the_provider_says(
    health: LaneHealth, clock: StillClock
) -> None:
    health.note_limit(0, 30.0)
    assert cooling(health) == [True, True, False]
    assert health.seconds_until_any() == pytest.approx(30)
    clock.seconds += 30
    assert cooling(health) == [False, False, False]
    assert health.seconds_until_any() is None


def test_a_limit_without_a_time_to_wait_rests_the_default(health: LaneHealth, clock: StillClock) -> None:
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


def test_speeds_follow_what_was_measured(health: LaneHealth, clock: StillClock) -> None:
    before = health.state().ttft_ms[0]
    for _ in range(60):
        health.note_success(0, 100.0, 1_100.0, 100)
    clock.seconds += 0.1
    assert health.state().ttft_ms[0] == pytest.approx(100, rel=0.05)
    assert health.state().ms_per_token[0] == pytest.approx(10, rel=0.05)
    assert health.state().ttft_ms[1] == before


def test_where_every_model_has_its_own_limits_a_limit_rests_that_model_alone(clock: StillClock) -> None:
    terms = [UpstreamTerms(limits_each_model=True)] * 3
    health = LaneHealth(LaneTable.build(LANES, ()), clock.monotonic, terms)
    health.note_limit(0, 30.0)
    assert cooling(health) == [True, False, False]
    health.note_refused_credentials(0)
    assert cooling(health) == [True, True, False]


def test_lanes_of_one_account_share_its_limits(clock: StillClock) -> None:
    terms = [UpstreamTerms(tokens_per_minute=1_000, requests_per_minute=2), UpstreamTerms(), UpstreamTerms()]
    health = LaneHealth(LaneTable.build(LANES, ()), clock.monotonic, terms)
    assert health.may_be_asked(1, 5_000)  # a full bucket takes any request, for the provider to judge
    health.note_sent(0, 400.0)
    assert not health.may_be_asked(1, 601)
    assert health.may_be_asked(1, 600)
    assert health.may_be_asked(2, 5_000)
    assert health.seconds_until_any(900) == pytest.approx(18)
    health.note_sent(1, 100.0)
    assert cooling(health) == [True, True, False]  # two requests were all that the minute has
    clock.seconds += 30
    assert cooling(health) == [False, False, False]


def test_what_the_provider_says_is_left_counts_for_the_whole_pool(health: LaneHealth) -> None:
    health.note_sent(0, 50.0)
    health.note_answered(0, 50.0, RateLimits(None, Window(1_000, 70, 60.0)))
    tokens_left = health.state().tokens_left
    assert tokens_left is not None
    assert tokens_left.tolist() == [70, 70, float("inf")]
    assert [vital.tokens_left for vital in health.vitals()] == [70, 70, None]


def test_the_largest_answer_is_kept_where_the_provider_counts_it(clock: StillClock) -> None:
    terms = [UpstreamTerms(counts_max_output=True), UpstreamTerms(), UpstreamTerms()]
    health = LaneHealth(LaneTable.build(LANES, ()), clock.monotonic, terms)
    assert health.tokens_counted(0, 100, 50.0, 4_000) == 4_100
    assert health.tokens_counted(1, 100, 50.0, 4_000) == 150
    assert health.tokens_counted(0, 100, 50.0, None) == 150


def test_failures_are_forgotten_as_time_goes_by(health: LaneHealth, clock: StillClock) -> None:
    for _ in range(6):
        health.note_failure(0)
    clock.seconds += 1
    high = health.vitals()[0].error_rate
    clock.seconds += 3_600
    low = health.vitals()[0].error_rate
    assert high > 0.5 > 0.05 > low > 0
    assert health.vitals()[1].error_rate == 0


def test_a_lane_that_was_given_up_as_slow_is_expected_to_be_slow(health: LaneHealth, clock: StillClock) -> None:
    health.note_slow(0, 9_000.0)
    health.note_slow(1, 1.0)  # ignored: the lane is expected to take longer
    clock.seconds += 1
    assert health.vitals()[0].ttft_ms > 5_000
    assert health.vitals()[1].ttft_ms == health.vitals()[2].ttft_ms
