"""Rate-limit headers of all providers, read into one shape and passed on under OpenAI's names."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.lanes.rate_limit_headers import RateLimits, Window, rate_limit_headers, read_rate_limits

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

OPENAI = {
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-remaining-requests": "4999",
    "x-ratelimit-reset-requests": "12ms",
    "x-ratelimit-limit-tokens": "160000",
    "x-ratelimit-remaining-tokens": "159976",
    "x-ratelimit-reset-tokens": "6m0s",
    "x-ratelimit-remaining-tokens_usage_based": "3",
}
ANTHROPIC = {
    "anthropic-ratelimit-input-tokens-limit": "80000",
    "anthropic-ratelimit-input-tokens-remaining": "100",
    "anthropic-ratelimit-input-tokens-reset": "2026-11-23T12:00:01Z",
    "anthropic-ratelimit-output-tokens-limit": "16000",
    "anthropic-ratelimit-output-tokens-remaining": "1",
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "999",
    "anthropic-ratelimit-requests-reset": "2026-11-23T12:00:30Z",
    "anthropic-ratelimit-tokens-limit": "96000",
    "anthropic-ratelimit-tokens-remaining": "95000",
    "anthropic-ratelimit-tokens-reset": "2026-11-23T12:01:00+00:00",
    "anthropic-ratelimit-unified-5h-reset": "1",
}
GROQ = {
    "x-ratelimit-limit-requests": "14400",
    "x-ratelimit-remaining-requests": "14370",
    "x-ratelimit-reset-requests": "2m59.56s",
    "x-ratelimit-limit-tokens": "18000",
    "x-ratelimit-remaining-tokens": "17997",
    "x-ratelimit-reset-tokens": "7.66s",
}
CEREBRAS = {
    "x-ratelimit-limit-requests-day": "1000000000",
    "x-ratelimit-remaining-requests-day": "999999",
    "x-ratelimit-reset-requests-day": "33011.4",
    "x-ratelimit-limit-requests-minute": "50",
    "x-ratelimit-remaining-requests-minute": "7",
    "x-ratelimit-reset-requests-minute": "11",
    "x-ratelimit-limit-tokens-minute": "200000",
    "x-ratelimit-remaining-tokens-minute": "150000",
    "x-ratelimit-reset-tokens-minute": "11.38",
}
OPENROUTER = {
    "x-ratelimit-limit": "20",
    "x-ratelimit-remaining": "0",
    "x-ratelimit-reset": str(int(NOW.timestamp() * 1_000) + 5_000),
}
FIREWORKS = {
    "x-ratelimit-limit-tokens-prompt": "60000",
    "x-ratelimit-remaining-tokens-prompt": "50000",
    "x-ratelimit-limit-tokens-generated": "6000",
    "x-ratelimit-remaining-tokens-generated": "1",
}
AZURE = {"x-ratelimit-remaining-requests": "9", "x-ratelimit-remaining-tokens": "900"}


@pytest.mark.parametrize(
    ("headers", "requests", "tokens"),
    [
        (OPENAI, Window(5_000, 4_999, 0.012), Window(160_000, 159_976, 360)),
        (ANTHROPIC, Window(1_000, 999, 30), Window(96_000, 95_000, 60)),
        (GROQ, Window(14_400, 14_370, 179.56), Window(18_000, 17_997, 7.66)),
        (CEREBRAS, Window(50, 7, 11), Window(200_000, 150_000, 11.38)),
        (OPENROUTER, Window(20, 0, 5), None),
        (FIREWORKS, None, Window(60_000, 50_000, None)),
        (AZURE, Window(None, 9, None), Window(None, 900, None)),
    ],
    ids=["openai", "anthropic", "groq", "cerebras", "openrouter", "fireworks", "azure"],
)
def test_limits_are_read_from_every_providers_names(
    headers: dict[str, str], requests: Window | None, tokens: Window | None
) -> None:
    limits = read_rate_limits(headers, lambda: NOW)
    assert limits is not None
    for got, wanted in ((limits.requests, requests), (limits.tokens, tokens)):
        assert (got is None) == (wanted is None)
        if got is not None and wanted is not None:
            assert (got.limit, got.remaining) == (wanted.limit, wanted.remaining)
            assert got.reset_s == (None if wanted.reset_s is None else pytest.approx(wanted.reset_s))


def test_anthropics_limits_are_passed_on_under_openais_names() -> None:
    limits = read_rate_limits(ANTHROPIC, lambda: NOW)
    assert limits is not None
    assert dict(rate_limit_headers(limits)) == {
        "x-ratelimit-limit-requests": "1000",
        "x-ratelimit-remaining-requests": "999",
        "x-ratelimit-reset-requests": "30s",
        "x-ratelimit-limit-tokens": "96000",
        "x-ratelimit-remaining-tokens": "95000",
        "x-ratelimit-reset-tokens": "60s",
    }


def test_without_such_headers_no_limit_is_known() -> None:
    assert (
        read_rate_limits(
            {"content-type": "application/json", "x-ratelimit-remaining-tokens-generated": "3"}, lambda: NOW
        )
        is None
    )


@pytest.mark.parametrize("reset", ["", "soon", "-3s", "nan", "2026-11-23T12:00:00", "1e400"])
def test_a_reset_that_cannot_be_read_is_unknown(reset: str) -> None:
    limits = read_rate_limits({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": reset}, lambda: NOW)
    assert limits == RateLimits(None, Window(None, 5, None))


@given(
    st.dictionaries(
        st.from_regex(r"(x-|anthropic-)?ratelimit-[a-z-]{0,20}", fullmatch=True),
        st.text(max_size=12) | st.floats().map(str),
        max_size=6,
    )
)
def test_whatever_a_provider_sends_the_figures_are_finite_and_not_negative(headers: dict[str, str]) -> None:
    limits = read_rate_limits(headers, lambda: NOW)
    if limits is not None:
        windows = [window for window in (limits.requests, limits.tokens) if window is not None]
        figures = [
            figure
            for window in windows
            for figure in (window.limit, window.remaining, window.reset_s)
            if figure is not None
        ]
        assert all(0 <= figure < float("inf") for figure in figures)
        assert all(text for _, text in rate_limit_headers(limits))
