"""Measures how far a figure may be luck, by a bootstrap (Efron 1979).

Prompts are redrawn with replacement, and curves and gaps are computed again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.corpus.routing_measures import TRADES, Floats, Pool, choose, gap_closed, log_budgets, scores_within
from training.evaluation.baselines import BaselineBeliefs
from training.network.fitted_model import Beliefs

_N_REDRAWS = 300
_QUANTILES = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval: 90% of the redraws lie between `low` and `high`."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Floats) -> "Interval":
        """Return the interval of redrawn values (n_redraws,)."""
        low, high = np.nanquantile(values, _QUANTILES)
        return cls(float(low), float(high))


@dataclass(frozen=True, slots=True, eq=False)
class PoolConfidence:
    """The intervals from redrawing a pool's prompts.

    Args:
        gaps: Router -> interval of its closed gap.
        leads: Router -> interval of how much more the first router closes, on the same redraws.
        budgets: Shape (60,), USD per prompt.
        band: Shape (2, 60); low and high of the first router's best mean score within each budget.
    """

    gaps: Mapping[str, Interval]
    leads: Mapping[str, Interval]
    budgets: Floats
    band: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Traced:
    """Cost and score of the models that a router takes at each trade, each (n_trades, n)."""

    cost: Floats
    score: Floats

    def redrawn(self, weights: Floats) -> Floats:
        """Return the curve (n_trades, 2) of prompts with these `weights` (n,)."""
        return np.stack([self.cost @ weights, self.score @ weights], axis=1)


def redraw(pool: Pool, routers: Mapping[str, Beliefs | BaselineBeliefs], seed: int) -> PoolConfidence:
    """Return intervals for all routers; leads and band belong to the first router.

    Args:
        pool: Graded answers of one source.
        routers: Name -> beliefs about the whole corpus.
        seed: Seed of the redraws.
    """
    traced = {name: _trace(pool, router) for name, router in routers.items()}
    oracle = _choices(pool, pool.score - 1e-9 * pool.cost, pool.cost)
    rng, n = np.random.default_rng(seed), len(pool.rows)
    budgets = log_budgets(pool.cost.mean(axis=0))
    gaps: dict[str, list[float]] = {name: [] for name in traced}
    bands = []
    first = next(iter(traced))
    for _ in range(_N_REDRAWS):
        weights = np.bincount(rng.integers(0, n, n), minlength=n) / n
        singles = np.stack([weights @ pool.cost, weights @ pool.score], axis=1)
        best = oracle.redrawn(weights)
        curves = {name: each.redrawn(weights) for name, each in traced.items()}
        for name, curve in curves.items():
            gaps[name].append(gap_closed(curve, singles, best))
        bands.append(scores_within(curves[first], budgets, float(singles[singles[:, 0].argmin(), 1])))
    values = {name: np.array(redrawn) for name, redrawn in gaps.items()}
    return PoolConfidence(
        {name: Interval.of(redrawn) for name, redrawn in values.items()},
        {name: Interval.of(values[first] - redrawn) for name, redrawn in values.items() if name != first},
        budgets,
        np.nanquantile(np.array(bands), _QUANTILES, axis=0),
    )


def _trace(pool: Pool, router: Beliefs | BaselineBeliefs) -> _Traced:
    return _choices(pool, pool.part_of(router.quality), pool.believed_cost(pool.part_of(router.completion_tokens)))


def _choices(pool: Pool, quality: Floats, believed_cost: Floats) -> _Traced:
    rows = np.arange(len(pool.rows))
    chosen: npt.NDArray[np.intp] = np.stack([choose(quality, believed_cost, trade) for trade in TRADES])
    return _Traced(pool.cost[rows, chosen], pool.score[rows, chosen])
