"""Measures the time of a decision on this machine: from text to chosen lane, on one core."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from time import perf_counter_ns

import numpy as np

from router.context import NO_CONSTRAINTS, NO_PREFERENCES, RouteContext
from router.decision import decide
from router.expectation import LaneState
from router.lane import Lane
from router.lane_table import LaneTable
from router.policies.best_value import BestValue
from router.price_table import Price
from router.quality_model import QualityModel

_MOST_PROMPTS = 2_000
_READ = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class DecisionCost:
    """Microseconds of one decision over `prompts` different prompts between `lanes` lanes."""

    p50_us: float
    p99_us: float
    prompts: int
    lanes: int


def time_decisions(served: QualityModel, prompts: Sequence[str], names: Sequence[str], seed: int) -> DecisionCost:
    """Time the whole decision on prompts of the corpus; the second of two passes counts.

    Args:
        served: Quality model of the bundle.
        prompts: Texts of the corpus; up to 2,000 are drawn.
        names: Names of the models to choose between.
        seed: Seed of the random sample.
    """
    table = LaneTable.build([_lane(name, place) for place, name in enumerate(names)], served.trained_names)
    state, policy, rng = LaneState.unmeasured(table), BestValue(), np.random.default_rng(seed)
    drawn = np.random.default_rng(seed).permutation(len(prompts))[:_MOST_PROMPTS]
    took_ns = np.empty(len(drawn))
    for _ in range(2):
        for place, row in enumerate(drawn):
            started = perf_counter_ns()
            context = RouteContext.from_prompt(prompts[row])
            decide(table, context, served.predict(context), state, policy, rng, NO_CONSTRAINTS, NO_PREFERENCES)
            took_ns[place] = perf_counter_ns() - started
    p50_us, p99_us = np.percentile(took_ns, (50, 99)) / 1_000
    return DecisionCost(float(p50_us), float(p99_us), len(drawn), len(table))


def _lane(name: str, place: int) -> Lane:
    price = Price(Decimal(place + 1) / 10, Decimal(place + 1), "made up: times do not depend on it", _READ)
    return Lane(f"lane/{name}", "lane", name, f"v/{name}", "lane", price, context_tokens=1_000_000, trained_name=name)
