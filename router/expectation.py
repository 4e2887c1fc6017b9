"""The expected quality, answer length, cost and latency of each lane for one request, as columns."""

from dataclasses import dataclass

import numpy as np

from router.arrays import Float32s, Floats, Mask
from router.context import RouteContext
from router.lane_table import LaneTable
from router.log_odds import logit
from router.quality_model import Prediction

_LARGEST_ERROR_RATE = 0.9
"""Larger error rates count as this: the expected latency of a lane that always fails would be infinite."""


@dataclass(frozen=True, slots=True)
class LaneState:
    """The state of the lanes at this moment; every array has shape (n_lanes,).

    Args:
        is_cooling: Whether the lane's account cools down after a limit or a failure.
        ttft_ms: Time to first token, milliseconds.
        ms_per_token: Time per output token, milliseconds.
        error_rate: Share of recent attempts on which the lane failed, 0..1; None: no attempt was observed.
        tokens_left: Tokens left of the lane's limit, infinite when the limit is unknown; None: no limit is known.
        counts_max_output: Whether the lane's provider counts the longest answer allowed against that limit, instead of
            the given answer; None: no provider does.
        is_over_budget: Whether the budget of the lane's provider key has too little left for this request; None: every
            budget has enough.
        cached_tokens: Input tokens of this request that the lane's prompt cache is expected to hold; None: no cache
            does.
        quality_shift: Shift of the log odds of a good answer, learned since the bundle was trained; None: no shift.
        account_shift: Shift of the same log odds by the account's correction for this prompt; None: no correction.
    """

    is_cooling: Mask
    ttft_ms: Floats
    ms_per_token: Floats
    error_rate: Floats | None = None
    tokens_left: Floats | None = None
    counts_max_output: Mask | None = None
    is_over_budget: Mask | None = None
    cached_tokens: Floats | None = None
    quality_shift: Floats | None = None
    account_shift: Floats | None = None

    @classmethod
    def unmeasured(cls, table: LaneTable) -> "LaneState":
        """Return the state before anything was observed: no lane cools down, and speeds are typical."""
        return cls(np.zeros(len(table), dtype=np.bool_), table.typical_ttft_ms, table.typical_ms_per_token)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Beliefs about one request, per lane; every array has shape (n_lanes,).

    Args:
        quality: P(good answer), 0..1.
        quality_std: Standard deviation of that belief.
        completion_tokens: Expected output tokens.
        cost_usd: Expected cost in USD. A float, for ranking; bills are computed by `price_table.quote_cost`.
        latency_ms: Expected milliseconds to the whole answer, further tries after failures included.
        cache_discount_usd: Part of the cost that the lane's prompt cache saves, already taken off `cost_usd`; None: no
            cache holds the conversation.
        quality_shift, account_shift: Shifts already added to the log odds of `quality`, as in `LaneState`; None: no
            shift.
    """

    quality: Floats
    quality_std: Floats
    completion_tokens: Floats
    cost_usd: Floats
    latency_ms: Floats
    cache_discount_usd: Floats | None = None
    quality_shift: Floats | None = None
    account_shift: Floats | None = None


def expect_outcomes(table: LaneTable, prediction: Prediction, context: RouteContext, state: LaneState) -> Expectation:
    """Turn the quality model's beliefs about models into beliefs about lanes."""
    quality, quality_std, tokens = believe_of_lanes(
        table,
        prediction.quality,
        prediction.quality_std,
        prediction.completion_tokens,
        prediction.difficulty,
        prediction.typical_completion_tokens,
    )
    shift, account_shift = state.quality_shift, state.account_shift
    if account_shift is not None:
        quality, quality_std = shift_quality(
            quality, quality_std, account_shift if shift is None else shift + account_shift
        )
    elif shift is not None:
        quality, quality_std = shift_quality(quality, quality_std, shift)
    if context.max_output_tokens is not None:
        tokens = np.minimum(tokens, context.max_output_tokens)
    rates = table.rates_for(context.prompt_tokens, context.service_tier)
    cost = context.prompt_tokens * rates.input_usd_per_token + tokens * rates.output_usd_per_token + rates.request_usd
    latency = state.ttft_ms + tokens * state.ms_per_token
    if state.error_rate is not None:
        latency = latency / (1 - np.minimum(state.error_rate, _LARGEST_ERROR_RATE))
    if state.cached_tokens is None:
        return Expectation(quality, quality_std, tokens, cost, latency, None, shift, account_shift)
    discount = state.cached_tokens * (rates.input_usd_per_token - rates.cached_usd_per_token)
    return Expectation(quality, quality_std, tokens, cost - discount, latency, discount, shift, account_shift)


def shift_quality(quality: Floats, quality_std: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """Return the quality and its standard deviation after a shift of the log odds.

    The quality is q e^s / (1 - q + q e^s). The deviation is multiplied by the slope of that.
    """
    odds = np.exp(shift)
    scale = 1 / (1 + quality * (odds - 1))
    steepness = odds * scale
    return quality * steepness, quality_std * steepness * scale


def believe_of_lanes(
    table: LaneTable,
    quality: Float32s,
    quality_std: Float32s,
    completion_tokens: Float32s,
    difficulty: float | Floats,
    typical_completion_tokens: float | Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return the quality of the lanes, its standard deviation and the completion tokens, each of shape (..., n_lanes).

    A lane of a model that was never trained on gets its prior, or the placement by its own graded answers. Both are
    averaged over their uncertainty: P = sigmoid(log odds / sqrt(1 + pi/8 std^2)) (MacKay 1992, "The evidence framework
    applied to classification networks").

    Args:
        table: The lanes.
        quality, quality_std, completion_tokens: Beliefs about the trained models, shape (..., n_trained).
        difficulty, typical_completion_tokens: Beliefs about the prompts; numbers, or arrays of shape (..., 1).
    """
    seen = table.trained_index
    of_lanes = quality.take(seen, axis=-1).astype(np.float64)
    std = quality_std.take(seen, axis=-1).astype(np.float64)
    tokens = completion_tokens.take(seen, axis=-1).astype(np.float64)
    if table.has_any_prior:
        log_odds = table.ability - difficulty  # (..., n_lanes)
        typical: float | Floats = typical_completion_tokens
        if len(table.placed_rows):
            log_odds[..., table.placed_rows] = logit(quality) @ table.placed_weights.T + table.placed_offset
            typical = np.exp(table.log_tokens_offset) * typical**table.log_tokens_slope
        by_prior = 1 / (1 + np.exp(-log_odds * table.prior_steepness))
        unseen = table.has_prior_only
        of_lanes = np.where(unseen, by_prior, of_lanes)
        std = np.where(unseen, by_prior * (1 - by_prior) * table.ability_std, std)
        tokens = np.where(unseen, typical, tokens)
    return of_lanes, std, tokens
