"""What is expected of each lane for one request: quality, answer length, cost and latency, as columns."""

from dataclasses import dataclass

import numpy as np

from router.arrays import Float32s, Floats, Mask
from router.context import RouteContext
from router.lane_table import LaneTable
from router.log_odds import logit
from router.quality_model import Prediction

# A lane that fails always would take for ever; nobody knows a lane that badly.
_LARGEST_ERROR_RATE = 0.9


@dataclass(frozen=True, slots=True)
class LaneState:
    """What is known of the lanes at this moment, given by whoever runs them; every array has shape (n_lanes,).

    Args:
        is_cooling: The lane's account rests after a limit or a failure.
        ttft_ms: Time to first token, milliseconds.
        ms_per_token: Time per output token, milliseconds.
        error_rate: Share of recent attempts that the lane failed, 0..1; None: nothing was observed.
        tokens_left: What is left of the lane's token limit; infinite where none is known. None: none is known anywhere.
        counts_max_output: The lane's provider counts the largest answer allowed against that limit, not the one it gives; None: none does.
        is_over_budget: The budget of the lane's provider key has not enough left for this request; None: all have.
        cached_tokens: Input tokens of this request that the lane's prompt cache is expected to hold; None: none is.
        quality_shift: What was learned since the bundle was trained, added to the log odds of a good answer; None: nothing was.
        account_shift: What the account's own answers say of this prompt beyond the bundle, added likewise; None: nothing.
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
        """Return the state before anything was observed: nothing cools, speeds are the typical ones."""
        return cls(np.zeros(len(table), dtype=np.bool_), table.typical_ttft_ms, table.typical_ms_per_token)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Beliefs about one request, per lane; every array has shape (n_lanes,).

    Args:
        quality: P(good answer), 0..1.
        quality_std: Standard deviation of that belief.
        completion_tokens: Expected output tokens.
        cost_usd: Expected cost in USD. A float, for ranking; bills are computed by `price_table.quote_cost`.
        latency_ms: Expected milliseconds to the whole answer, further tries included where the lane fails at times.
        cache_discount_usd: What `cost_usd` is lower by because the lane's prompt cache holds the conversation; None: none does.
        quality_shift, account_shift: What was added to the log odds of `quality`, as in `LaneState`; None: nothing was.
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
    rates = table.rates_for(context.prompt_tokens)
    cost = context.prompt_tokens * rates.input_usd_per_token + tokens * rates.output_usd_per_token + table.request_usd
    latency = state.ttft_ms + tokens * state.ms_per_token
    if state.error_rate is not None:
        latency = latency / (1 - np.minimum(state.error_rate, _LARGEST_ERROR_RATE))
    if state.cached_tokens is None:
        return Expectation(quality, quality_std, tokens, cost, latency, None, shift, account_shift)
    discount = state.cached_tokens * (rates.input_usd_per_token - rates.cached_usd_per_token)
    return Expectation(quality, quality_std, tokens, cost - discount, latency, discount, shift, account_shift)


def shift_quality(quality: Floats, quality_std: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """Return (quality, its deviation) after a shift of the log odds: q e^s / (1 - q + q e^s), and the deviation times the slope of that."""
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
    """Return (quality, its deviation, completion tokens) of the lanes, each (..., n_lanes).

    A lane whose model was never trained on gets its prior, or what its own graded answers say, averaged over its uncertainty:
    P = sigmoid(log odds / sqrt(1 + pi/8 std^2)) (MacKay 1992, "The evidence framework applied to classification networks").

    Args:
        table: The lanes.
        quality, quality_std, completion_tokens: Of the trained models, shape (..., n_trained).
        difficulty, typical_completion_tokens: Of the prompts; numbers, or arrays of shape (..., 1).
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
