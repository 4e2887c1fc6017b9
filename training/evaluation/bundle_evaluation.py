"""Judges a bundle on graded answers, next to the baselines and to an oracle."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

from training.corpus.routing_measures import (
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
from training.evaluation.baselines import BaselineBeliefs
from training.network.fitted_model import Beliefs

OURS, RANDOM_MIX, BEST_SINGLE, ORACLE = "llmdeal", "random mix", "best single", "oracle"


@dataclass(frozen=True, slots=True)
class PoolEvaluation:
    """Measures and curves of every router on one pool; curves are (mean cost in USD, mean score), shape (k, 2)."""

    pool: Pool
    measures: Mapping[str, RoutingMeasures]
    curves: Mapping[str, Floats] = field(repr=False)


def evaluate_beliefs(
    pools: Sequence[Pool], beliefs: Beliefs, baselines: Mapping[str, BaselineBeliefs] = MappingProxyType({})
) -> list[PoolEvaluation]:
    """Judge beliefs about a whole corpus, and those of the named baselines."""
    return [_evaluate_pool(pool, {OURS: beliefs, **baselines}) for pool in pools]


def flatten_measures(evaluations: list[PoolEvaluation]) -> dict[str, dict[str, float]]:
    """Return source -> measure -> value of llmdeal's own rows, for manifests and tracking."""
    return {evaluation.pool.source: asdict(evaluation.measures[OURS]) for evaluation in evaluations}


def _evaluate_pool(pool: Pool, routers: Mapping[str, Beliefs | BaselineBeliefs]) -> PoolEvaluation:
    curves: dict[str, Floats] = {}
    measures: dict[str, RoutingMeasures] = {}
    for name, router in routers.items():
        quality, tokens = pool.part_of(router.quality), pool.part_of(router.completion_tokens)
        curves[name] = trace_curve(quality, pool.believed_cost(tokens), pool.score, pool.cost)
        measures[name] = measure_router(pool, quality, tokens)
    choices = ((RANDOM_MIX, random_mix_curve(pool)), (BEST_SINGLE, single_models(pool)), (ORACLE, oracle_curve(pool)))
    for name, curve in choices:
        curves[name] = curve
        measures[name] = measure_only_choices(pool, curve)
    return PoolEvaluation(pool, measures, curves)
