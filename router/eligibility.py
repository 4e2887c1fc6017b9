"""Hard filters: which lanes may answer, and which constraint excluded each of the others."""

from collections.abc import Callable
from enum import StrEnum

import numpy as np

from router.arrays import Floats, Mask
from router.context import NO_CONSTRAINTS, Constraints, RouteContext
from router.expectation import Expectation, LaneState
from router.lane import Lane
from router.lane_table import LaneTable


class Exclusion(StrEnum):
    """The reason why a lane is not eligible, as callers and logs see it."""

    PIN = "pin"
    MODELS = "models"
    VIRTUAL_KEY = "virtual_key"
    """The caller's virtual key may not use the lane."""
    THOUGHTS = "thoughts"
    """The conversation carries reasoning that only another account or another service can read."""
    EFFORT = "effort"
    """The lane sets an effort of reasoning that the request does not leave open, or that the bundle does not know."""
    PROVIDER = "provider"
    CAPABILITY = "capability"
    PARAMETERS = "parameters"
    CONTEXT_LENGTH = "context_length"
    OUTPUT_LENGTH = "output_length"
    REGION = "region"
    TRAINING = "data_collection"
    RETENTION = "zdr"
    MAX_PRICE = "max_price"
    MAX_COST = "max_cost"
    MAX_LATENCY = "max_latency"
    BUDGET = "budget"
    """The budget of the lane's provider key has not enough left."""
    RATE_LIMIT = "rate_limit"
    """The account's token limit has less left than the request is expected to take."""
    COOLDOWN = "cooldown"


class Exclusions:
    """The excluded lanes of one request. Each has the first constraint that removed it, in the order of the checks."""

    __slots__ = ("_reasons", "is_eligible")

    def __init__(self, n_lanes: int) -> None:
        self.is_eligible: Mask = np.ones(n_lanes, dtype=np.bool_)
        self._reasons: list[tuple[Mask, Exclusion]] = []

    def remove(self, mask: Mask, reason: Exclusion) -> None:
        """Exclude the lanes of `mask`, shape (n_lanes,), that are still eligible."""
        if np.count_nonzero(mask):  # several times quicker than mask.any()
            self._reasons.append((mask & self.is_eligible, reason))
            self.is_eligible = self.is_eligible & ~mask

    def by_row(self) -> dict[int, str]:
        """Return row -> reason of every excluded lane; empty, at no cost, when all lanes are eligible."""
        return {int(row): str(reason) for mask, reason in self._reasons for row in np.flatnonzero(mask)}

    def not_named(self) -> Mask:
        """Return which lanes were removed because the request names others, shape (n_lanes,)."""
        removed = np.zeros(len(self.is_eligible), dtype=np.bool_)
        for mask, reason in self._reasons:
            if reason in (Exclusion.PIN, Exclusion.MODELS):
                removed |= mask
        return removed

    def reason_of(self, row: int) -> Exclusion | None:
        """Return why the lane in this row was removed, or None when it is eligible."""
        return next((reason for mask, reason in self._reasons if mask[row]), None)


def exclude_lanes(
    table: LaneTable, context: RouteContext, constraints: Constraints, expectation: Expectation, state: LaneState
) -> Exclusions:
    """Apply every hard filter. Unknown counts as no: an undeclared capability or region never satisfies a demand.

    Invariant: adding a constraint never makes a lane eligible.
    """
    exclusions = Exclusions(len(table))
    if constraints.pinned_lanes is not None:
        exclusions.remove(_lanes_not_in(table, constraints.pinned_lanes), Exclusion.PIN)
    if constraints.allowed_lanes is not None:
        exclusions.remove(_lanes_not_in(table, constraints.allowed_lanes), Exclusion.MODELS)
    if constraints.permitted_lanes is not None:
        exclusions.remove(_lanes_not_in(table, constraints.permitted_lanes), Exclusion.VIRTUAL_KEY)
    if constraints.readers is not None:
        exclusions.remove(_lanes_not_in(table, constraints.readers), Exclusion.THOUGHTS)
    if table.efforts is not None:
        is_pinned = constraints.pinned_lanes is not None
        unfit = table.efforts.unfit(context.effort, context.required, constraints.efforts, is_pinned=is_pinned)
        if unfit is not None:
            exclusions.remove(unfit, Exclusion.EFFORT)
    if constraints is not NO_CONSTRAINTS:
        _check_identity(exclusions, table, context, constraints)
    if context.required:
        required = int(context.required)
        exclusions.remove((table.capabilities & required) != required, Exclusion.CAPABILITY)
    wanted_tokens = context.prompt_tokens + (context.max_output_tokens or 1)
    if wanted_tokens > table.least_context_tokens:
        exclusions.remove(table.context_tokens < wanted_tokens, Exclusion.CONTEXT_LENGTH)
    if context.max_output_tokens is not None and context.max_output_tokens > table.least_max_output_tokens:
        exclusions.remove(table.max_output_tokens < context.max_output_tokens, Exclusion.OUTPUT_LENGTH)
    if constraints.max_cost_usd is not None:
        exclusions.remove(expectation.cost_usd > constraints.max_cost_usd, Exclusion.MAX_COST)
    if constraints.max_latency_ms is not None:
        exclusions.remove(expectation.latency_ms > constraints.max_latency_ms, Exclusion.MAX_LATENCY)
    if state.refuses_parameters is not None:
        exclusions.remove(state.refuses_parameters, Exclusion.PARAMETERS)
    if state.is_over_budget is not None:
        exclusions.remove(state.is_over_budget, Exclusion.BUDGET)
    if state.tokens_left is not None:
        exclusions.remove(tokens_counted(context, expectation, state) > state.tokens_left, Exclusion.RATE_LIMIT)
    exclusions.remove(state.is_cooling, Exclusion.COOLDOWN)
    return exclusions


def tokens_counted(context: RouteContext, expectation: Expectation, state: LaneState) -> Floats:
    """Return the tokens that each lane's provider counts against its limit for this request, shape (n_lanes,)."""
    expected = context.prompt_tokens + expectation.completion_tokens
    if context.max_output_tokens is None or state.counts_max_output is None:
        return expected
    return np.where(state.counts_max_output, context.prompt_tokens + context.max_output_tokens, expected)


def _lanes_not_in(table: LaneTable, lane_ids: frozenset[str]) -> Mask:
    mask = np.ones(len(table), dtype=np.bool_)
    mask[[table.index_of[lane_id] for lane_id in lane_ids if lane_id in table.index_of]] = False
    return mask


def _check_identity(exclusions: Exclusions, table: LaneTable, context: RouteContext, constraints: Constraints) -> None:
    def remove_where(is_unfit: Callable[[Lane], bool], reason: Exclusion) -> None:
        exclusions.remove(
            np.fromiter((is_unfit(lane) for lane in table.lanes), dtype=np.bool_, count=len(table)), reason
        )

    if constraints.only_providers:
        remove_where(lambda lane: lane.provider not in constraints.only_providers, Exclusion.PROVIDER)
    if constraints.ignored_providers:
        remove_where(lambda lane: lane.provider in constraints.ignored_providers, Exclusion.PROVIDER)
    if constraints.region is not None:
        remove_where(lambda lane: lane.region != constraints.region, Exclusion.REGION)
    if constraints.denies_training:
        remove_where(lambda lane: lane.trains_on_data is not False, Exclusion.TRAINING)
    if constraints.requires_zero_retention:
        remove_where(lambda lane: lane.retains_data is not False, Exclusion.RETENTION)
    if constraints.required_parameters:
        remove_where(lambda lane: bool(lane.refused_parameters & constraints.required_parameters), Exclusion.PARAMETERS)
    ceilings = (constraints.max_input_usd_per_mtok, constraints.max_output_usd_per_mtok, constraints.max_request_usd)
    if any(ceiling is not None for ceiling in ceilings):
        remove_where(lambda lane: _is_above_price(lane, context, constraints), Exclusion.MAX_PRICE)


def _is_above_price(lane: Lane, context: RouteContext, constraints: Constraints) -> bool:
    price = lane.price.at(context.service_tier)
    rates = price.rates_for(context.prompt_tokens)
    pairs = (
        (rates.input_usd_per_mtok, constraints.max_input_usd_per_mtok),
        (rates.output_usd_per_mtok, constraints.max_output_usd_per_mtok),
        (price.request_usd, constraints.max_request_usd),
    )
    return any(ceiling is not None and rate > ceiling for rate, ceiling in pairs)
