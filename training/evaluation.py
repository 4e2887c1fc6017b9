"""A bundle judged on graded answers, beside what it has to beat and what nobody can."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt

from training.baselines import NeighbourBeliefs, predict_by_neighbours
from training.corpus import Corpus, Float32s
from training.fitted_model import Beliefs
from training.routing_measures import (
    Floats,
    Pool,
    RoutingMeasures,
    measure_only_choices,
    measure_router,
    oracle_curve,
    random_mix_curve,
    single_models,
    trace_curve,
)

OURS, NEIGHBOURS, RANDOM_MIX, BEST_SINGLE, ORACLE = "llmdeal", "kNN-100", "random mix", "best single", "oracle"


@dataclass(frozen=True, slots=True)
class PoolEvaluation:
    """Measures and curves of every router on one pool; curves are (mean cost in USD, mean score), shape (k, 2)."""

    pool: Pool
    measures: Mapping[str, RoutingMeasures]
    curves: Mapping[str, Floats] = field(repr=False)


def evaluate_beliefs(
    corpus: Corpus, pools: Sequence[Pool], beliefs: Beliefs, embeddings: Float32s, fold: npt.NDArray[np.intp]
) -> list[PoolEvaluation]:
    """Judge beliefs about a whole corpus; the neighbours are cross-fitted over `fold` on the same prompts."""
    neighbours = predict_by_neighbours(corpus, embeddings, fold)
    return [_evaluate_pool(pool, beliefs, neighbours) for pool in pools]


def flatten_measures(evaluations: list[PoolEvaluation]) -> dict[str, dict[str, float]]:
    """Return source -> measure -> value of our own rows, for manifests and tracking."""
    return {evaluation.pool.source: asdict(evaluation.measures[OURS]) for evaluation in evaluations}


def _evaluate_pool(pool: Pool, beliefs: Beliefs, neighbours: NeighbourBeliefs) -> PoolEvaluation:
    curves: dict[str, Floats] = {}
    measures: dict[str, RoutingMeasures] = {}
    for name, router in ((OURS, beliefs), (NEIGHBOURS, neighbours)):
        quality, tokens = _of_pool(pool, router.quality), _of_pool(pool, router.completion_tokens)
        curves[name] = trace_curve(quality, pool.believed_cost(tokens), pool.score, pool.cost)
        measures[name] = measure_router(pool, quality, tokens)
    choices = ((RANDOM_MIX, random_mix_curve(pool)), (BEST_SINGLE, single_models(pool)), (ORACLE, oracle_curve(pool)))
    for name, curve in choices:
        curves[name] = curve
        measures[name] = measure_only_choices(pool, curve)
    return PoolEvaluation(pool, measures, curves)


def _of_pool(pool: Pool, values: Float32s) -> Floats:
    return values[np.ix_(pool.rows, pool.columns)].astype(np.float64)
