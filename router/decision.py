"""The decision: for one request, which lane answers, which would be next, how likely the draw was, and why."""

from dataclasses import dataclass, replace

import numpy as np

from router.bar import Bar
from router.context import NO_PREFERENCES, Constraints, Preferences, RouteContext
from router.eligibility import Exclusions, exclude_lanes
from router.errors import NoEligibleLaneError
from router.expectation import Expectation, LaneState, expect_outcomes
from router.lane import Lane
from router.lane_table import Floats, LaneTable
from router.policies.base import Candidates, Ints, Policy
from router.quality_model import Prediction
from router.reason import Reason

# More than all preferences together can put a lane back.
_RESERVE_DEMOTION = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one request.

    Args:
        table: The lanes that were looked at.
        order: Rows of the eligible lanes, the drawn one first, then the others from best to worst by the policy.
        probabilities: With which each lane could have been drawn, shape (n_lanes,).
        reason: Why the drawn lane.
        policy_name: Which policy ranked.
        expectation: What was believed of each lane.
        exclusions: Which lanes could not answer, and why.
        exploration_prices_usd: What drawing each lane instead of the best was expected to give up, USD, shape (n_lanes,); None: no other lane
            could be drawn.
        demotion: How far each lane was put back by the caller's soft preferences and as a reserve, shape (n_lanes,); None: none was.
    """

    table: LaneTable
    order: tuple[int, ...]
    probabilities: Floats
    reason: Reason
    policy_name: str
    expectation: Expectation
    exclusions: Exclusions
    exploration_prices_usd: Floats | None = None
    demotion: Ints | None = None

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
    bar: Bar | None = None,
) -> Decision:
    """Filter, rank and draw.

    Args:
        table: The lanes.
        context: The request.
        prediction: What the quality model believes of it.
        state: What is known of the lanes at this moment.
        policy: Who ranks.
        rng: For policies that draw.
        constraints: What excludes lanes.
        preferences: What ranks them.
        bar: Solves relative bars for this table.

    Raises:
        NoEligibleLaneError: Every lane was excluded; carries the reason for each.
    """
    expectation = expect_outcomes(table, prediction, context, state)
    exclusions = exclude_lanes(table, context, constraints, expectation, state)
    if not np.count_nonzero(exclusions.is_eligible):
        reasons = {lane.lane_id: str(exclusions.reason_of(row)) for row, lane in enumerate(table.lanes)}
        raise NoEligibleLaneError(reasons, [str(flag.name).lower() for flag in context.required])
    demotion = _demotion(table, expectation, state, preferences)
    candidates = Candidates(exclusions.is_eligible, demotion, expectation, preferences, bar)
    ranking = policy.rank(candidates)
    drawn = draw(ranking.probabilities, rng)
    order = tuple(ranking.order.tolist())
    reason = ranking.reason
    if drawn != order[0]:
        order = (drawn, *(row for row in order if row != drawn))
        reason = Reason.EXPLORED
    elif len(order) == 1 and reason is not Reason.PINNED:
        reason = Reason.ONLY_CANDIDATE
    elif reason is not Reason.PINNED and _is_kept_by_its_cache(drawn, policy, candidates):
        reason = Reason.AFFINITY
    prices = ranking.exploration_prices_usd
    return Decision(table, order, ranking.probabilities, reason, policy.name, expectation, exclusions, prices, demotion)


def draw(probabilities: Floats, rng: np.random.Generator) -> int:
    """Draw a row with the given probabilities; a certain one costs no random number."""
    likeliest = int(probabilities.argmax())
    if probabilities[likeliest] == 1.0:
        return likeliest
    # Inversion: the first row whose cumulated probability exceeds a uniform number, never one of probability 0. A tenth of the time of `rng.choice`.
    cumulated = probabilities.cumsum()
    row = int(cumulated.searchsorted(rng.random() * cumulated[-1], side="right"))
    return row if row < len(probabilities) else likeliest


def _is_kept_by_its_cache(row: int, policy: Policy, candidates: Candidates) -> bool:
    """Return whether this best lane would not be the best one if its prompt cache did not hold the conversation."""
    discount = candidates.expectation.cache_discount_usd
    if discount is None or not discount[row]:
        return False
    cold = replace(candidates.expectation, cost_usd=candidates.expectation.cost_usd + discount, cache_discount_usd=None)
    return int(policy.rank(replace(candidates, expectation=cold)).order[0]) != row


def _demotion(table: LaneTable, expectation: Expectation, state: LaneState, preferences: Preferences) -> Ints | None:
    """Return how far each lane is put back, by the caller's soft preferences and as a reserve; None when nothing puts any back."""
    if preferences is NO_PREFERENCES and table.is_reserve is None:
        return None
    demotion: Ints = np.zeros(len(table), dtype=np.int64)
    if table.is_reserve is not None:
        demotion += _RESERVE_DEMOTION * table.is_reserve
    if preferences.preferred_max_latency_ms is not None:
        demotion += expectation.latency_ms > preferences.preferred_max_latency_ms
    if preferences.preferred_min_tokens_per_s is not None:
        demotion += 1_000 / state.ms_per_token < preferences.preferred_min_tokens_per_s
    if preferences.preferred_providers:
        place = {provider: index for index, provider in enumerate(preferences.preferred_providers)}
        demotion += 3 * np.array([place.get(lane.provider, len(place)) for lane in table.lanes], dtype=np.int64)
    if preferences.lane_order is not None:
        last = len(preferences.lane_order)
        demotion += 1_000 * np.array(
            [preferences.lane_order.get(lane.lane_id, last) for lane in table.lanes], dtype=np.int64
        )
    return demotion if demotion.any() else None
