"""What is remembered of the providers' prompt caches, so that staying can be priced."""

import pytest
from fakes.still_clock import StillClock

from router.price_table import TokenUsage
from serve.lanes.warm_caches import WarmCaches
from serve.upstream.prompt_cache import PromptCache

AUTOMATIC = PromptCache(is_automatic=True, least_tokens=1_024, lifetime_s=300.0)
MARKED = PromptCache(is_automatic=False, least_tokens=1_024, lifetime_s=300.0)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def caches(clock: StillClock) -> WarmCaches:
    return WarmCaches([AUTOMATIC, MARKED, None], clock.monotonic)


def expected(caches: WarmCaches, prompt_tokens: int = 10_000) -> list[float] | None:
    tokens = caches.expected_tokens("talk", prompt_tokens)
    return None if tokens is None else tokens.tolist()


def test_until_answers_were_seen_a_long_prompt_is_expected_to_be_cached_every_second_time(caches: WarmCaches) -> None:
    assert expected(caches) is None
    caches.note_answer("talk", 0, TokenUsage(4_000, 10))
    assert expected(caches) == [2_000, 0, 0]
    assert expected(caches, prompt_tokens=1_000) == [500, 0, 0]
    assert caches.expected_tokens("another talk", 4_000) is None


def test_hits_and_misses_change_what_a_cache_is_expected_to_hold(caches: WarmCaches) -> None:
    for _ in range(12):
        caches.note_answer("talk", 0, TokenUsage(4_000, 10, cached_tokens=4_000))
    tokens = expected(caches)
    assert tokens is not None
    assert tokens[0] > 3_500
    for _ in range(40):
        caches.note_answer("talk", 0, TokenUsage(4_000, 10, cached_tokens=0))
    tokens = expected(caches)
    assert tokens is not None
    assert tokens[0] < 1_000


def test_a_short_prompt_is_not_cached(caches: WarmCaches) -> None:
    caches.note_answer("talk", 0, TokenUsage(1_023, 10))
    assert expected(caches) is None


def test_where_only_what_is_marked_is_cached_the_answer_says_how_much(caches: WarmCaches) -> None:
    caches.note_answer("talk", 1, TokenUsage(9_000, 10))
    assert expected(caches) is None
    caches.note_answer("talk", 1, TokenUsage(9_000, 10, cache_write_tokens=5_000))
    assert expected(caches) == [0, 2_500, 0]


def test_a_lane_without_known_terms_is_never_expected_to_cache(caches: WarmCaches) -> None:
    caches.note_answer("talk", 2, TokenUsage(9_000, 10, cached_tokens=8_000))
    assert expected(caches) is None


def test_a_cache_goes_cold_with_time_later_where_an_hour_was_paid_for(caches: WarmCaches, clock: StillClock) -> None:
    caches.note_answer("talk", 0, TokenUsage(4_000, 10))
    caches.note_answer("talk", 1, TokenUsage(9_000, 10, cache_write_tokens=5_000, cache_write_1h_tokens=5_000))
    clock.seconds += 301
    assert expected(caches) == [0, 2_500, 0]
    clock.seconds += 3_300
    assert expected(caches) is None


def test_usage_that_was_only_estimated_teaches_nothing(caches: WarmCaches) -> None:
    caches.note_answer("talk", 0, TokenUsage(4_000, 10, is_estimated=True))
    assert expected(caches) is None
