"""Compares policies on the prompts of a pool that were kept aside, with intervals from redrawing these prompts.

The measure that counts is the *lead over the mix*: the mean score of a policy, less that of tossing a coin between two
lanes at the same mean cost. A mix needs no router. Its lanes are neighbours on the upper hull of the fitted prompts'
mean costs and scores.

Routers are judged at several worths of a good answer, which are fixed before anything is judged: 1, 3, 10, 30 and 100
times the mean cost of the pool's median lane.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.corpus.routing_measures import gap_closed, scores_within
from training.evaluation.bootstrap import Interval
from training.pools.policies import FIXED, MIX, RouterBeliefs, SplitPool
from training.pools.work_pools import Floats, Ints

WORTHS: Floats = np.array([1.0, 3.0, 10.0, 30.0, 100.0])
"""Worths of a good answer, in mean costs of the median lane."""
_TRACED_WORTHS: Floats = np.concatenate([np.logspace(-1, 5, 90), [1e9]])
_N_REDRAWS = 1_000
_ROUNDING = 1e-6
"""Leads up to here are errors of rounding."""
_FEWEST_FOR_SURE = 100
"""With fewer prompts kept aside a pool is small: its figures move by more than its interval from split to split."""


@dataclass(frozen=True, slots=True)
class PolicyFigures:
    """Figures of one policy on one pool. Scores are means over the prompts kept aside, 0..1, costs are in USD a prompt.

    Args:
        scores, costs: Mean score and mean cost at each of `WORTHS`; a fixed choice has one of each.
        lead: Mean over the worths of the lead over the mix, in points of score.
        lead_interval: Interval of that, 90% of the redraws.
        lead_in_hindsight: The same lead over a mix of lanes that were chosen by their means on the judged prompts. No
            one can buy that mix; what is left is gained by reading the prompts, and not by choosing lanes luckily.
        gap_closed: Share of the way from the best single lane at every budget to an oracle; None for a fixed choice.
        score_at_fixed_cost: Best score that costs no more than the fixed lane does; None: nothing is so cheap.
        cost_share_at_fixed_score: Least cost at which the fixed lane's score is reached, as a share of its cost; None:
            it never is.
    """

    scores: tuple[float, ...]
    costs: tuple[float, ...]
    lead: float
    lead_interval: Interval
    lead_in_hindsight: float
    gap_closed: float | None
    score_at_fixed_cost: float | None
    cost_share_at_fixed_score: float | None

    @property
    def beats_the_mix(self) -> bool:
        """Whether the lead is above 0 in 95% of the redraws."""
        return self.lead_interval.low > _ROUNDING


@dataclass(frozen=True, slots=True)
class PoolComparison:
    """All policies on one pool.

    Args:
        source, work: Source of the prompts, and its kind of work in words.
        keys: Providers whose keys reach the lanes.
        lanes: Names of the lanes.
        n_fitted, n_aside: Number of prompts that were learned from, and that were judged.
        cost_basis: Origin of the costs, see `training.pools.work_pools.CostBasis`.
        worths_usd: Worths of a good answer at which routers were judged, USD.
        fixed_lane: Name of the best lane on the fitted prompts.
        policies: Name -> figures.
    """

    source: str
    work: str
    keys: tuple[str, ...]
    lanes: tuple[str, ...]
    n_fitted: int
    n_aside: int
    cost_basis: str
    worths_usd: tuple[float, ...]
    fixed_lane: str
    policies: dict[str, PolicyFigures]

    @property
    def is_small(self) -> bool:
        """Whether too few prompts were kept aside to trust the figures."""
        return self.n_aside < _FEWEST_FOR_SURE


@dataclass(frozen=True, slots=True, eq=False)
class _Outcomes:
    """Scores and costs of a policy's choices, each of shape (worths, k)."""

    score: Floats
    cost: Floats


def compare(
    split: SplitPool, choices: Mapping[str, Ints], routers: Mapping[str, RouterBeliefs], seed: int
) -> PoolComparison:
    """Judge policies on the prompts of a pool that were kept aside.

    Args:
        split: Divided pool.
        choices: Name -> lane of each prompt, shape (k,); one is `policies.FIXED`.
        routers: Name -> beliefs of a router.
        seed: Seed of the redraws.
    """
    pool = split.pool
    score, cost = pool.score[split.aside], pool.cost[split.aside]
    unit = float(np.median(split.mean_cost))
    outcomes = {name: _outcomes(chosen[None], score, cost) for name, chosen in choices.items()}
    traced = {name: _trace(router, _TRACED_WORTHS * unit, score, cost) for name, router in routers.items()}
    outcomes |= {name: _trace(router, WORTHS * unit, score, cost) for name, router in routers.items()}
    hull = hull_lanes(split.mean_cost, split.mean_score)
    best_hull = hull_lanes(cost.mean(axis=0), score.mean(axis=0))
    weights = _redraws(len(split.aside), seed)
    plain = np.full((1, len(split.aside)), 1 / len(split.aside))
    singles = np.stack([cost.mean(axis=0), score.mean(axis=0)], axis=1)
    oracle = _points(_trace(RouterBeliefs(score - 1e-9 * cost, cost), _TRACED_WORTHS * unit, score, cost))
    fixed_score, fixed_cost = float(outcomes[FIXED].score.mean()), float(outcomes[FIXED].cost.mean())
    figures = {}
    for name, outcome in outcomes.items():
        points = _points(traced.get(name, outcome))
        figures[name] = PolicyFigures(
            tuple(outcome.score.mean(axis=1).tolist()),
            tuple(outcome.cost.mean(axis=1).tolist()),
            float(_leads(outcome, score[:, hull], cost[:, hull], plain)[0]),
            Interval.of(_leads(outcome, score[:, hull], cost[:, hull], weights)),
            float(_leads(outcome, score[:, best_hull], cost[:, best_hull], plain)[0]),
            gap_closed(points, singles, oracle) if name in traced else None,
            _score_within(points, fixed_cost),
            _cost_share(points, fixed_score, fixed_cost),
        )
    figures[MIX] = _mix_figures(singles[hull], singles, oracle, fixed_score, fixed_cost)
    return PoolComparison(
        pool.source,
        pool.work,
        pool.keys,
        pool.lane_names,
        len(split.fitted),
        len(split.aside),
        pool.cost_basis,
        tuple((WORTHS * unit).tolist()),
        pool.lane_names[int(choices[FIXED][0])],
        figures,
    )


def hull_lanes(cost: Floats, score: Floats) -> Ints:
    """Return the lanes on the upper hull of mean cost and mean score, each of shape (m,), from the cheapest on.

    No mix of two lanes has a higher score at the same cost than a mix of two neighbours on the hull.
    """
    hull: list[int] = []
    for lane in np.lexsort((-score, cost)).tolist():
        if hull and score[lane] <= score[hull[-1]]:
            continue
        while len(hull) > 1 and _lies_below(hull[-2], hull[-1], lane, cost, score):
            hull.pop()
        hull.append(lane)
    return np.array(hull, np.intp)


def _lies_below(first: int, middle: int, last: int, cost: Floats, score: Floats) -> bool:
    rise = (score[middle] - score[first]) * (cost[last] - cost[first])
    return bool(rise <= (score[last] - score[first]) * (cost[middle] - cost[first]))


def mix_scores(hull_cost: Floats, hull_score: Floats, wanted: Floats) -> Floats:
    """Return the mean score of mixing two neighbours on a hull so that the mean cost is as wanted.

    A cost below that of the cheapest lane gets the cheapest lane, one above that of the most expensive lane that one.

    Args:
        hull_cost, hull_score: Mean cost and score of the hull's lanes, shape (h,).
        wanted: Mean costs, shape (w,).
    """
    order = np.argsort(hull_cost, kind="stable")
    return np.asarray(np.interp(wanted, hull_cost[order], hull_score[order]))


def _leads(outcome: _Outcomes, hull_score: Floats, hull_cost: Floats, weights: Floats) -> Floats:
    """Return the mean lead over the mix for each row of weights (redraws, k), shape (redraws,)."""
    scores, costs = weights @ outcome.score.T, weights @ outcome.cost.T  # (redraws, worths)
    lane_scores, lane_costs = weights @ hull_score, weights @ hull_cost  # (redraws, h)
    mixed = [mix_scores(*lanes) for lanes in zip(lane_costs, lane_scores, costs, strict=True)]
    return np.asarray((scores - np.array(mixed)).mean(axis=1))


def _redraws(n: int, seed: int) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return np.stack([np.bincount(rng.integers(0, n, n), minlength=n) / n for _ in range(_N_REDRAWS)])


def _trace(router: RouterBeliefs, worths: Floats, score: Floats, cost: Floats) -> _Outcomes:
    return _outcomes(np.stack([router.choices(worth) for worth in worths]), score, cost)


def _outcomes(chosen: Ints, score: Floats, cost: Floats) -> _Outcomes:
    rows = np.arange(len(score))
    return _Outcomes(score[rows, chosen], cost[rows, chosen])


def _points(outcome: _Outcomes) -> Floats:
    return np.stack([outcome.cost.mean(axis=1), outcome.score.mean(axis=1)], axis=1)


def _score_within(points: Floats, budget: float) -> float | None:
    if points[:, 0].min() > budget * (1 + 1e-9):
        return None
    return float(scores_within(points, np.array([budget * (1 + 1e-9)]), 0.0)[0])


def _cost_share(points: Floats, wanted: float, fixed_cost: float) -> float | None:
    is_enough = points[:, 1] >= wanted - 1e-9
    return float(points[is_enough, 0].min() / fixed_cost) if is_enough.any() else None


def _mix_figures(hull: Floats, singles: Floats, oracle: Floats, fixed_score: float, fixed_cost: float) -> PolicyFigures:
    costs = np.linspace(hull[:, 0].min(), hull[:, 0].max(), 200)
    points = np.stack([costs, mix_scores(hull[:, 0], hull[:, 1], costs)], axis=1)
    return PolicyFigures(
        tuple(hull[:, 1].tolist()),
        tuple(hull[:, 0].tolist()),
        0.0,
        Interval(0.0, 0.0),
        0.0,
        gap_closed(points, singles, oracle),
        _score_within(points, fixed_cost),
        _cost_share(points, fixed_score, fixed_cost),
    )
