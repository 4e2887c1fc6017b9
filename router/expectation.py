"""The expected quality, answer length, cost and latency of each lane for one request, as columns."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from router.answer_room import chance_of_room
from router.arrays import Float32s, Floats, Mask
from router.context import RouteContext
from router.lane_table import LaneTable
from router.log_odds import logit
from router.quality_model import Prediction

_LEAST_CHANCE = 1e-7
"""Added to a reference model's chances of a good and of a bad answer, so that neither is 0."""
_LEAST_SHARE = 1e-3
"""A smaller share of work of the reference models' kind counts as none: it would move log odds by less than 0.01."""
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
        refuses_parameters: Whether the lane's model lately refused a parameter that the request has; None: no model
            did.
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
    refuses_parameters: Mask | None = None

    def of_first(self, n_lanes: int) -> "LaneState":
        """Return the state of the first lanes."""
        if n_lanes == len(self.is_cooling):
            return self

        def first(column: Floats | None) -> Floats | None:
            return None if column is None else column[:n_lanes]

        return LaneState(
            self.is_cooling[:n_lanes],
            self.ttft_ms[:n_lanes],
            self.ms_per_token[:n_lanes],
            first(self.error_rate),
            first(self.tokens_left),
            None if self.counts_max_output is None else self.counts_max_output[:n_lanes],
            None if self.is_over_budget is None else self.is_over_budget[:n_lanes],
            first(self.cached_tokens),
            first(self.quality_shift),
            first(self.account_shift),
            None if self.refuses_parameters is None else self.refuses_parameters[:n_lanes],
        )

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
        completion_tokens: Expected output tokens, reasoning included.
        cost_usd: Expected cost in USD. A float, for ranking; bills are computed by `price_table.quote_cost`.
        latency_ms: Expected milliseconds to the whole answer, further tries after failures included.
        cache_discount_usd: Part of the cost that the lane's prompt cache saves, already taken off `cost_usd`; None: no
            cache holds the conversation.
        quality_shift, account_shift: Shifts already added to the log odds of `quality`, as in `LaneState`; None: no
            shift.
        reasoning_tokens: Part of `completion_tokens` that is reasoning; None: the bundle has no catalogue models.
        high_factors: Ratios of the high to the expected number of visible and of reasoning tokens, shape (2,); None:
            unknown, or the caller limits the answer.
        room: Chance that reasoning leaves the answer enough of the caller's limit, 0..1, already multiplied into
            `quality`; None: the caller sets no limit, or the lengths of reasoning are unknown.
    """

    quality: Floats
    quality_std: Floats
    completion_tokens: Floats
    cost_usd: Floats
    latency_ms: Floats
    cache_discount_usd: Floats | None = None
    quality_shift: Floats | None = None
    account_shift: Floats | None = None
    reasoning_tokens: Floats | None = None
    high_factors: Floats | None = None
    room: Floats | None = None

    @property
    def high_tokens(self) -> Floats | None:
        """Output tokens that 95% of the answers stay below; None: unknown, or the caller limits the answer."""
        if self.reasoning_tokens is None or self.high_factors is None:
            return None
        return _high(self.completion_tokens, self.reasoning_tokens, self.high_factors)


class LaneBeliefs(NamedTuple):
    """Beliefs about lanes, before anything that was learned online and before the caller's limit.

    Every array has shape (..., n_lanes). The arguments are those of `Expectation`.
    """

    quality: Floats
    quality_std: Floats
    completion_tokens: Floats
    reasoning_tokens: Floats | None = None


def expect_outcomes(table: LaneTable, prediction: Prediction, context: RouteContext, state: LaneState) -> Expectation:
    """Turn the quality model's beliefs about models into beliefs about lanes."""
    beliefs = believe_of_prediction(table, prediction)
    quality, quality_std = beliefs.quality, beliefs.quality_std
    tokens, reasoning = beliefs.completion_tokens, beliefs.reasoning_tokens
    high_factors = None if table.rows is None or context.max_output_tokens is not None else table.rows.high_factors
    shift, account_shift = state.quality_shift, state.account_shift
    if account_shift is not None:
        quality, quality_std = shift_quality(
            quality, quality_std, account_shift if shift is None else shift + account_shift
        )
    elif shift is not None:
        quality, quality_std = shift_quality(quality, quality_std, shift)
    room = None
    if context.max_output_tokens is not None:
        if reasoning is not None and table.rows is not None:
            room = chance_of_room(tokens, reasoning, context.max_output_tokens, table.rows.reasoning_log_std)
            quality, quality_std = quality * room, quality_std * room
        tokens = np.minimum(tokens, context.max_output_tokens)
        if reasoning is not None:  # it comes before the visible answer, so the limit cuts it last
            reasoning = np.minimum(reasoning, tokens)
    rates = table.rates_for(context.prompt_tokens, context.service_tier)
    cost = context.prompt_tokens * rates.input_usd_per_token + tokens * rates.output_usd_per_token + rates.request_usd
    latency = state.ttft_ms + tokens * state.ms_per_token
    if state.error_rate is not None:
        latency = latency / (1 - np.minimum(state.error_rate, _LARGEST_ERROR_RATE))
    if state.cached_tokens is None:
        return Expectation(
            quality, quality_std, tokens, cost, latency, None, shift, account_shift, reasoning, high_factors, room
        )
    discount = state.cached_tokens * (rates.input_usd_per_token - rates.cached_usd_per_token)
    cost = cost - discount
    return Expectation(
        quality, quality_std, tokens, cost, latency, discount, shift, account_shift, reasoning, high_factors, room
    )


def shift_quality(quality: Floats, quality_std: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """Return the quality and its standard deviation after a shift of the log odds.

    The quality is q e^s / (1 - q + q e^s). The deviation is multiplied by the slope of that.
    """
    odds = np.exp(shift)
    scale = 1 / (1 + quality * (odds - 1))
    steepness = odds * scale
    return quality * steepness, quality_std * steepness * scale


def believe_of_prediction(table: LaneTable, prediction: Prediction) -> LaneBeliefs:
    """Return the beliefs about lanes for one request; see `believe_of_lanes`."""
    return believe_of_lanes(
        table,
        prediction.quality,
        prediction.quality_std,
        prediction.completion_tokens,
        prediction.difficulty,
        prediction.typical_completion_tokens,
        prediction.demand,
    )


def believe_of_high_tokens(table: LaneTable, prediction: Prediction) -> Floats | None:
    """Return the output tokens that 95% of the answers stay below, shape (n_lanes,); None: unknown."""
    beliefs = believe_of_prediction(table, prediction)
    if table.rows is None or beliefs.reasoning_tokens is None:
        return None
    return _high(beliefs.completion_tokens, beliefs.reasoning_tokens, table.rows.high_factors)


def _high(completion_tokens: Floats, reasoning_tokens: Floats, factors: Floats) -> Floats:
    visible_tokens = completion_tokens - reasoning_tokens
    return np.asarray(visible_tokens * factors[0] + reasoning_tokens * factors[1], np.float64)


def believe_of_lanes(
    table: LaneTable,
    quality: Float32s,
    quality_std: Float32s,
    completion_tokens: Float32s,
    difficulty: float | Floats,
    typical_completion_tokens: float | Floats,
    demand: Float32s | None = None,
) -> LaneBeliefs:
    """Return the beliefs about lanes, from those about models and prompts.

    With catalogue models, each lane has a row, and its beliefs follow from the row and the demand. A lane that has
    beliefs among the reference models as well (it is one of them, or it was placed among them by its own graded
    answers) keeps those for the share r of the prompt that is work of their kind. With l for the log odds, averaged
    over their uncertainty, and s for their standard deviation:

        l = r * l_reference + (1 - r) * l_row,    s = r * s_reference + (1 - r) * s_row

    and the logs of the lengths are mixed in the same way. Without catalogue models, a lane whose model is not a
    reference model gets its prior, or the placement by its own graded answers. Both are averaged over their
    uncertainty: P = sigmoid(log odds / sqrt(1 + pi/8 std^2)) (MacKay 1992, "The evidence framework applied to
    classification networks").

    Args:
        table: The lanes.
        quality, quality_std, completion_tokens: Beliefs about the reference models, shape (..., n_trained).
        difficulty, typical_completion_tokens: Beliefs about the prompts; numbers, or arrays of shape (..., 1).
        demand: Demands of the prompts, shape (..., n_demands); None: unknown, so that rows do not count.
    """
    if table.rows is None or demand is None:
        return LaneBeliefs(
            *_by_reference(table, quality, quality_std, completion_tokens, difficulty, typical_completion_tokens)
        )
    odds_against, tokens = table.rows.believe(demand)
    weight = table.rows.own_weight
    if weight is not None:
        share = min(max(demand.item(0), 0.0), 1.0) if demand.ndim == 1 else np.clip(demand[..., :1], 0.0, 1.0)
        floor = table.rows.own_floor
        if demand.ndim > 1 or floor is not None or share > _LEAST_SHARE:
            own, own_tokens = _own_beliefs(table, quality, quality_std, completion_tokens, typical_completion_tokens)
            mixed = share * weight if floor is None else np.maximum(share * weight, floor)  # (..., n_lanes)
            own -= odds_against
            own *= mixed
            odds_against += own
            tokens *= (own_tokens / tokens[0]) ** mixed
    against, std = odds_against.astype(np.float64)
    odds = np.exp(against)
    chance = 1 / (1 + odds)
    std *= odds
    std *= chance
    std *= chance
    tokens_64 = tokens.astype(np.float64)
    return LaneBeliefs(chance, std, tokens_64[0], tokens_64[1])


def _own_beliefs(
    table: LaneTable,
    quality: Float32s,
    quality_std: Float32s,
    completion_tokens: Float32s,
    typical_completion_tokens: float | Floats,
) -> tuple[Floats, Floats | Float32s]:
    """Return what lanes have of reference beliefs; the values of a lane without them are meaningless, but finite.

    Returns:
        Log odds of a bad answer and their standard deviation, shape (2, ..., n_lanes), and the completion tokens, shape
        (..., n_lanes).
    """
    seen = table.trained_index
    chance = quality.take(seen, axis=-1)
    good, bad = chance + _LEAST_CHANCE, (1 + _LEAST_CHANCE) - chance
    own = np.empty((2, *chance.shape), np.float32)
    np.log(bad / good, out=own[0])
    good *= bad
    np.divide(quality_std.take(seen, axis=-1), good, out=own[1])
    tokens = completion_tokens.take(seen, axis=-1)
    placed = table.placed_rows
    if len(placed):
        log_odds = logit(quality) @ table.placed_weights.T + table.placed_offset
        # In two steps, because NumPy transposes own[0, ..., placed].
        own[0][..., placed] = -log_odds * table.prior_steepness[placed]
        own[1][..., placed] = table.ability_std[placed]
        line = np.exp(table.log_tokens_offset) * typical_completion_tokens**table.log_tokens_slope
        tokens[..., placed] = line[..., placed]
    return own, tokens


def _by_reference(
    table: LaneTable,
    quality: Float32s,
    quality_std: Float32s,
    completion_tokens: Float32s,
    difficulty: float | Floats,
    typical_completion_tokens: float | Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return (quality, its standard deviation, completion tokens) by the reference models and the priors alone."""
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
