"""Telemetry rows for tests: plain rows, and Hypothesis strategies for any row that the schema allows."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from router.telemetry_schema import AttemptRow, CandidateTable, FeedbackRow, Outcome

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
LANES = ("sandbox/small", "sandbox/large", "sandbox/eu")


def candidate_table() -> CandidateTable:
    """Three lanes: one eligible, one of unknown latency, one excluded."""
    return CandidateTable(
        lane_ids=LANES,
        quality=np.array([0.5, 0.75, 0.25], np.float32),
        quality_std=np.array([0.1, 0.2, 0.3], np.float32),
        expected_completion_tokens=np.array([100, 200, 300], np.float32),
        expected_cost_usd=np.array([1e-5, 2e-4, 0.0]),
        expected_latency_ms=np.array([20, np.nan, 30], np.float32),
        excluded_by={2: "region"},
        probability=np.array([0.9, 0.1, 0.0]),
    )


def attempt_row(number: int = 0, **changes: Any) -> AttemptRow:
    """An ordinary attempt; `number` goes into the request id and delays its start by as many seconds."""
    values: dict[str, Any] = {
        "request_id": f"request-{number:06}",
        "attempt": 0,
        "started_at": NOON + timedelta(seconds=number),
        "account": "default",
        "endpoint": "/v1/chat/completions",
        "is_streaming": False,
        "features": np.array([0.5, -1.25, 3], np.float32),
        "features_version": 1,
        "prompt_characters": 42,
        "n_turns": 1,
        "candidates": candidate_table(),
        "lane_id": LANES[0],
        "provider": "sandbox",
        "upstream_model": "small",
        "vendor_model": "sandbox/small",
        "propensity": 0.9,
        "reason": "best_quality_per_dollar",
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "cost_nusd": 1_234,
        "status": 200,
        "outcome": "ok",
    }
    return AttemptRow(**(values | changes))


def feedback_row(number: int = 0, **changes: Any) -> FeedbackRow:
    """Thumbs up for the request of the same number, a minute after it."""
    values: dict[str, Any] = {
        "request_id": f"request-{number:06}",
        "metric_name": "thumbs",
        "value": 1.0,
        "given_by": "virtual-key-1",
        "received_at": NOON + timedelta(seconds=60 + number),
    }
    return FeedbackRow(**(values | changes))


# Every database accepts these in a text column: no NUL and no half of a surrogate pair.
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
contents = st.text(st.characters(codec="utf-8"), max_size=40)
instants = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
counts = st.integers(0, 2**63 - 1)
numbers = st.floats(allow_nan=False)
float32s = st.floats(width=32)


@st.composite
def candidate_tables(draw: st.DrawFn) -> CandidateTable:
    """Zero to four lanes with any numbers, unknown ones included."""
    lane_ids = tuple(draw(st.lists(words, max_size=4, unique=True)))
    n_lanes = len(lane_ids)
    narrow = hnp.arrays(np.float32, n_lanes, elements=float32s)
    wide = hnp.arrays(np.float64, n_lanes, elements=st.floats())
    probabilities = hnp.arrays(np.float64, n_lanes, elements=st.floats(0, 1))
    excluded = draw(st.dictionaries(st.integers(0, n_lanes - 1), words)) if n_lanes else {}
    beliefs = draw(narrow), draw(narrow), draw(narrow), draw(wide), draw(narrow)
    shifts = draw(st.none() | narrow), draw(st.none() | narrow)
    fallback_tier = draw(st.none() | hnp.arrays(np.int32, n_lanes))
    return CandidateTable(lane_ids, *beliefs, excluded, draw(probabilities), *shifts, fallback_tier)


def attempt_rows() -> st.SearchStrategy[AttemptRow]:
    """Any row the schema allows."""
    or_unknown = {
        **dict.fromkeys(
            ("virtual_key_id", "conversation_id", "region", "policy", "router_version", "price_snapshot_id"), words
        ),
        **dict.fromkeys(("finish_reason", "error_code", "upstream_request_id"), words),
        **dict.fromkeys(("prompt_text", "answer_text"), contents),
        **dict.fromkeys(
            ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"), counts
        ),
        **dict.fromkeys(("propensity", "quality_bar", "quality_of_best", "willingness_to_pay_usd"), numbers),
        **dict.fromkeys(("ttft_ms", "total_ms", "overhead_ms"), numbers),
        "cost_nusd": st.integers(-(2**63), 2**63 - 1),
        "features_version": st.integers(0, 2**31 - 1),
        "status": st.integers(100, 599),
        "max_output_tokens": st.integers(0, 2**31 - 1),
        "web_searches": counts,
        **dict.fromkeys(("service_tier", "stated_effort"), words),
        "features": hnp.arrays(np.float32, st.integers(0, 5), elements=float32s),
        "candidates": candidate_tables(),
    }
    return st.builds(
        AttemptRow,
        request_id=words,
        attempt=st.integers(0, 2**31 - 1),
        started_at=instants,
        account=words,
        tags=st.lists(contents, max_size=3).map(tuple),
        endpoint=words,
        is_streaming=st.booleans(),
        prompt_characters=counts,
        n_turns=st.integers(0, 2**31 - 1),
        lane_id=words,
        provider=words,
        upstream_model=words,
        vendor_model=words,
        reason=words,
        usage_is_estimated=st.booleans(),
        outcome=st.sampled_from(get_args(Outcome)),
        **{name: st.none() | values for name, values in or_unknown.items()},
    )


def feedback_rows() -> st.SearchStrategy[FeedbackRow]:
    """Any row the schema allows."""
    return st.builds(
        FeedbackRow,
        request_id=words,
        metric_name=words,
        value=st.floats(allow_nan=False, allow_infinity=False),
        comment=st.none() | contents,
        given_by=words,
        received_at=instants,
    )
