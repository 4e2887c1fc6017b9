"""The decision on one request: which lane answers, which would be next, how likely the draw was, and why."""

from dataclasses import dataclass, replace

import numpy as np

from router.arrays import Floats, Ints
from router.bar import Bar, SolvedBars
from router.context import Constraints, Preferences, RouteContext
from router.eligibility import Exclusions, exclude_lanes
from router.errors import NoEligibleLaneError
from router.expectation import Expectation, LaneState, expect_outcomes
from router.fallback_tier import fallback_tiers
from router.lane import Lane
from router.lane_table import LaneTable
from router.policies.base import Candidates, Policy
from router.quality_model import Prediction
from router.reason import AFFINITY, EXPLORED, ONLY_CANDIDATE, Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one request.

    Args:
        table: Lanes that were looked at.
        order: Rows of the eligible lanes, the drawn one first, then the others from best to worst by the policy.
        probabilities: Probability with which each lane could have been drawn, shape (n_lanes,).
        reason: Reason for the drawn lane.
        policy_name: Name of the policy that ranked.
        expectation: Beliefs about each lane.
        exclusions: Lanes that could not answer, with the reasons.
        exploration_prices_usd: Expected loss when each lane is drawn instead of the best one, USD, shape (n_lanes,);
            None: no other lane could be drawn.
        fallback_tier: Tier of each lane, shape (n_lanes,), by the caller's soft preferences and the reserve; None: all
            lanes are in tier 0.
    """

    table: LaneTable
    order: tuple[int, ...]
    probabilities: Floats
    reason: Reason
    policy_name: str
    expectation: Expectation
    exclusions: Exclusions
    exploration_prices_usd: Floats | None = None
    fallback_tier: Ints | None = None

    @property
    def chosen(self) -> Lane:
        """The drawn lane."""
        return self.table.lanes[self.order[0]]

    @property
    def propensity(self) -> float:
        """The probability with which the drawn lane was drawn, in (0, 1]."""
        return float(self.probabilities[self.order[0]])


def decide(
    table: LaneTable,
    context: RouteContext,
    prediction: Prediction,
    state: LaneState,
    policy: Policy,
    rng: np.random.Generator,
    constraints: Constraints,
    preferences: Preferences,
    bar: Bar | SolvedBars | None = None,
) -> Decision:
    """Filter the lanes, rank them and draw one.

    Args:
        table: The lanes.
        context: The request.
        prediction: Beliefs of the quality model about the request.
        state: State of the lanes at this moment.
        policy: Policy that ranks.
        rng: Random generator of the draw.
        constraints: Hard limits; they exclude lanes.
        preferences: Soft wishes; they rank lanes.
        bar: Solver of relative bars for this table.

    Raises:
        NoEligibleLaneError: Every lane was excluded. The error holds the reason for each.
        BarUnsolvedError: The policy needs a bar that is not solved yet, and `bar` only looks bars up.
    """
    expectation = expect_outcomes(table, prediction, context, state)
    exclusions = exclude_lanes(table, context, constraints, expectation, state)
    if not np.count_nonzero(exclusions.is_eligible):
        reasons = {lane.lane_id: str(exclusions.reason_of(row)) for row, lane in enumerate(table.lanes)}
        raise NoEligibleLaneError(reasons, _needed_names(context))
    fallback_tier = fallback_tiers(table, expectation, state, preferences)
    candidates = Candidates(exclusions.is_eligible, fallback_tier, expectation, preferences, bar)
    ranking = policy.rank(candidates)
    drawn = draw(ranking.probabilities, rng)
    order = tuple(ranking.order.tolist())
    reason = ranking.reason
    if drawn != order[0]:
        order = (drawn, *(row for row in order if row != drawn))
        reason = EXPLORED
    elif not reason.is_final and len(order) == 1:
        reason = ONLY_CANDIDATE
    elif not reason.is_final and _is_kept_by_its_cache(drawn, policy, candidates):
        reason = AFFINITY
    prices = ranking.exploration_prices_usd
    return Decision(
        table, order, ranking.probabilities, reason, policy.name, expectation, exclusions, prices, fallback_tier
    )


def _needed_names(context: RouteContext) -> list[str]:
    """Return the names of the capabilities that a request needs, and of the fields that need its own dialect."""
    fields = f" (because of {', '.join(context.dialect_fields)})" if context.dialect_fields else ""
    names = [str(flag.name).lower() for flag in context.required]
    return [name + fields if name.endswith("_dialect") else name for name in names]


def draw(probabilities: Floats, rng: np.random.Generator) -> int:
    """Draw a row with the given probabilities; a certain one costs no random number."""
    likeliest = int(probabilities.argmax())
    if probabilities[likeliest] == 1.0:
        return likeliest
    # Inversion: the first row with a cumulated probability above a uniform number, so never a row of probability 0. It
    # takes a tenth of the time of `rng.choice`.
    cumulated = probabilities.cumsum()
    row = int(cumulated.searchsorted(rng.random() * cumulated[-1], side="right"))
    return row if row < len(probabilities) else likeliest


def _is_kept_by_its_cache(row: int, policy: Policy, candidates: Candidates) -> bool:
    """Return whether this lane is only the best one because its prompt cache holds the conversation."""
    discount = candidates.expectation.cache_discount_usd
    if discount is None or not discount[row]:
        return False
    cold = replace(candidates.expectation, cost_usd=candidates.expectation.cost_usd + discount, cache_discount_usd=None)
    return int(policy.rank(replace(candidates, expectation=cold)).order[0]) != row
