"""How good a router is on graded answers; every measure is defined once, here.

- A *pool* is every model that answered at least 93% of a source's prompts.
- The cost of a prompt with a model is characters / 4 x input price + completion tokens x output price.
- A router chooses by argmax(quality - trade x predicted cost), from predicted quality and predicted cost.
- As `trade` runs from 0 (quality alone) to 10^6.5, the router traces its *curve* of mean cost against mean score.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

TRADES: Floats = np.concatenate([[0.0], np.logspace(0, 6.5, 90)])
"""Score points given up per USD."""
N_BUDGETS = 60
N_BINS = 15


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The prompts of one source that every model of its pool answered; `n` prompts, `m` models.

    Args:
        source: Source of the prompts.
        trained_names: Names of the models.
        rows: Shape (n,); rows of the prompts in their corpus.
        columns: Shape (m,); columns of the models in their corpus.
        score: Shape (n, m), 0..1.
        cost: Shape (n, m), USD; cost of the answers that were given.
        prompt_cost: Shape (n, m), USD; the part of the cost that is known before the answer.
        output_usd: Shape (m,), USD per completion token.
        has_tokens: False if the source gives no lengths; then each answer counts as 250 tokens, predicted or not.
    """

    source: str
    trained_names: tuple[str, ...]
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    score: Floats
    cost: Floats
    prompt_cost: Floats
    output_usd: Floats
    has_tokens: bool

    def take(self, chosen: npt.NDArray[np.intp]) -> "Pool":
        """Return the pool of these prompts, by their places in it; a bootstrap takes some of them several times."""
        return replace(
            self,
            rows=self.rows[chosen],
            score=self.score[chosen],
            cost=self.cost[chosen],
            prompt_cost=self.prompt_cost[chosen],
        )

    def part_of(self, values: npt.NDArray[np.float32]) -> Floats:
        """Return this pool's part, shape (n, m), of an array over the whole corpus."""
        return values[np.ix_(self.rows, self.columns)].astype(np.float64)

    def believed_cost(self, completion_tokens: Floats) -> Floats:
        """Return the cost, shape (n, m), that follows from predicted completion tokens (n, m)."""
        return self.prompt_cost + np.maximum(completion_tokens, 1) * self.output_usd if self.has_tokens else self.cost


@dataclass(frozen=True, slots=True)
class RoutingMeasures:
    """The measures of one router on one pool.

    Args:
        gap_closed: (aiq - that of the best single model within each budget) / (the oracle's aiq - the same).
            1 is the oracle; 0 is no better than knowing which single model to buy.
        save_95, save_98, save_100: Cost saved against the best single model, at the point where the curve first
            reaches 95%, 98%, 100% of its score; -1 if it never does.
        aiq: Mean, over 60 log-spaced budgets from the cheapest to the most expensive model, of the best score
            within the budget.
        best_score: Highest point of the curve.
        auc: Mean over models of the area under the ROC of quality against score >= 0.5; NaN if the router
            predicts no quality.
        brier: Mean squared difference of quality and score.
        ece: Calibration error: mean |score - quality| over 15 equal bins of quality, weighted by their size.
        cost_bias: Believed cost of all answers over their cost, less 1.
        prompts, models: Size of the pool.
    """

    gap_closed: float
    save_95: float
    save_98: float
    save_100: float
    aiq: float
    best_score: float
    auc: float
    brier: float
    ece: float
    cost_bias: float
    prompts: int
    models: int


def measure_router(pool: Pool, quality: Floats, completion_tokens: Floats) -> RoutingMeasures:
    """Measure predicted quality (n, m) and completion tokens (n, m) on a pool."""
    believed = pool.believed_cost(completion_tokens)
    measures = measure_curve(pool, trace_curve(quality, believed, pool.score, pool.cost))
    probability = np.clip(quality, 0, 1)
    aucs = [
        area_under_roc(pool.score[:, column] >= 0.5, quality[:, column]) for column in range(len(pool.trained_names))
    ]
    defined = [area for area in aucs if not np.isnan(area)]
    return RoutingMeasures(
        **measures,
        auc=float(np.mean(defined)) if defined else float("nan"),
        brier=float(((probability - pool.score) ** 2).mean()),
        ece=calibration_error(probability.ravel(), pool.score.ravel()),
        cost_bias=float(believed.sum() / pool.cost.sum() - 1),
        prompts=len(pool.rows),
        models=len(pool.trained_names),
    )


def measure_only_choices(pool: Pool, curve: Floats) -> RoutingMeasures:
    """Measure a router that predicts nothing, from its curve (k, 2) alone."""
    unknown = float("nan")
    measures = measure_curve(pool, curve)
    return RoutingMeasures(
        **measures,
        auc=unknown,
        brier=unknown,
        ece=unknown,
        cost_bias=unknown,
        prompts=len(pool.rows),
        models=len(pool.trained_names),
    )


def measure_curve(pool: Pool, curve: Floats) -> dict[str, float]:
    """Return the measures of a curve of (mean cost, mean score) points, shape (k, 2)."""
    singles = single_models(pool)
    best_cost, best_score = singles[np.lexsort((-singles[:, 0], -singles[:, 1]))[0]]

    def saved(level: float) -> float:
        reached = curve[curve[:, 1] >= level * best_score - 1e-12]
        return float(1 - reached[:, 0].min() / best_cost) if len(reached) else -1.0

    return {
        "gap_closed": gap_closed(curve, singles, oracle_curve(pool)),
        "save_95": saved(0.95),
        "save_98": saved(0.98),
        "save_100": saved(1.0),
        "aiq": _aiq(curve, singles),
        "best_score": float(curve[:, 1].max()),
    }


def gap_closed(curve: Floats, singles: Floats, oracle: Floats) -> float:
    """Return how far a curve goes from the best single model within each budget to the oracle, as a share.

    NaN if the oracle is no better than the best single model.

    Args:
        curve, singles, oracle: (mean cost, mean score) points, each of shape (k, 2).
    """
    single, best = _aiq(singles, singles), _aiq(oracle, singles)
    return (_aiq(curve, singles) - single) / (best - single) if best > single else float("nan")


def log_budgets(single_costs: Floats) -> Floats:
    """Return 60 budgets from the cheapest to the most expensive single model, evenly spaced in their logarithm."""
    return np.logspace(np.log10(single_costs.min()), np.log10(single_costs.max()), N_BUDGETS)


def scores_within(points: Floats, budgets: Floats, floor: float) -> Floats:
    """Return the best score that (cost, score) points (k, 2) reach within each budget.

    Where no point is affordable, the score is `floor`.
    """
    order = np.argsort(points[:, 0], kind="stable")
    best = np.maximum.accumulate(points[order, 1])
    affordable = np.searchsorted(points[order, 0], budgets, side="right")
    return np.where(affordable > 0, best[np.maximum(affordable - 1, 0)], floor)


def _aiq(points: Floats, singles: Floats) -> float:
    cheapest = float(singles[np.lexsort((singles[:, 1], singles[:, 0]))[0], 1])
    return float(scores_within(points, log_budgets(singles[:, 0]), cheapest).mean())


def choose(value: Floats, believed_cost: Floats, trade: float) -> npt.NDArray[np.intp]:
    """Return the model that a router takes for each prompt, shape (n,), at `trade` score points per USD.

    `value` and `believed_cost` have shape (n, m).
    """
    chosen: npt.NDArray[np.intp] = np.argmax(value - trade * believed_cost, axis=1)
    return chosen


def trace_curve(value: Floats, believed_cost: Floats, score: Floats, cost: Floats) -> Floats:
    """Return (mean cost, mean score) for each of `TRADES`, shape (91, 2); all arguments have shape (n, m)."""
    rows = np.arange(len(score))
    points = []
    for trade in TRADES:
        chosen = choose(value, believed_cost, trade)
        points.append((cost[rows, chosen].mean(), score[rows, chosen].mean()))
    return np.array(points)


def trade_at_cost(pool: Pool, quality: Floats, believed_cost: Floats, mean_cost: float) -> float:
    """Return the one of `TRADES` at which a router's mean cost comes nearest to `mean_cost`, USD a prompt."""
    spent = trace_curve(quality, believed_cost, pool.score, pool.cost)[:, 0]
    return float(TRADES[np.abs(spent - mean_cost).argmin()])


def single_models(pool: Pool) -> Floats:
    """Return (mean cost, mean score) of always asking one model, shape (m, 2)."""
    return np.stack([pool.cost.mean(axis=0), pool.score.mean(axis=0)], axis=1)


def oracle_curve(pool: Pool) -> Floats:
    """Return the curve of a router that knows every grade and every cost, shape (91, 2)."""
    return trace_curve(pool.score - 1e-9 * pool.cost, pool.cost, pool.score, pool.cost)


def random_mix_curve(pool: Pool, points_per_edge: int = 10) -> Floats:
    """Return the best curve of random choices between two models: the upper hull of the single models.

    The choice does not depend on the prompt.
    """
    singles = single_models(pool)
    order = np.lexsort((-singles[:, 1], singles[:, 0]))
    hull: list[Floats] = []
    for point in singles[order]:
        if hull and point[1] <= hull[-1][1]:
            continue
        while len(hull) > 1 and _turns_up(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    mixes = [np.linspace(low, high, points_per_edge, endpoint=False) for low, high in pairwise(hull)]
    return np.concatenate([*mixes, hull[-1][None]])


def area_under_roc(is_hit: npt.NDArray[np.bool_], quality: Floats) -> float:
    """Return the probability that a good answer was predicted higher than a bad one.

    A tie counts half. NaN without both good and bad answers.
    """
    n_hits, n_misses = int(is_hit.sum()), int((~is_hit).sum())
    if not n_hits or not n_misses:
        return float("nan")
    return float((pd.Series(quality).rank().to_numpy()[is_hit].sum() - n_hits * (n_hits + 1) / 2) / (n_hits * n_misses))


def calibration_error(quality: Floats, score: Floats) -> float:
    """Return the mean |score - quality| over `N_BINS` equal bins of quality (n,), weighted by size."""
    bins = np.clip((quality * N_BINS).astype(int), 0, N_BINS - 1)
    sizes = np.bincount(bins, minlength=N_BINS)
    difference = np.bincount(bins, weights=score - quality, minlength=N_BINS)
    return float(np.abs(difference[sizes > 0]).sum() / len(quality))


def _turns_up(first: Floats, second: Floats, third: Floats) -> bool:
    return bool((second[1] - first[1]) * (third[0] - first[0]) <= (third[1] - first[1]) * (second[0] - first[0]))


def area_under_gap_recovered(hardness: Floats, strong: Floats, weak: Floats) -> float:
    """Return the mean recovered share of the gap between a weak and a strong model (APGR).

    The mean is over all shares of prompts sent to the strong model. Prompts go to it in order of `hardness`. 0.5 is
    a random choice; above 1 means that the two together beat the strong one. Source: Ong et al. 2024, "RouteLLM:
    Learning to Route LLMs with Preference Data".

    Args:
        hardness: Shape (n,); prompts with equal hardness stay in their order.
        strong, weak: Shape (n,), scores, 0..1.
    """
    gain: Floats = (strong - weak)[np.argsort(-hardness, kind="stable")]
    recovered = np.concatenate([[0.0], np.cumsum(gain)]) / gain.sum()
    return float(((recovered[1:] + recovered[:-1]) / 2).mean())
