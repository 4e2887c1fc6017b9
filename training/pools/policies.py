"""What people would do, and what llmdeal does: policies that choose a lane for every prompt of a pool kept aside.

- A *fixed choice* does not weigh money against quality: one lane for all, or the tiers of a complexity router.
- A *router* believes a quality and a cost of every lane, and takes the lane with the most worth * quality - cost.

All but llmdeal's routers know from which source a prompt is, and learn from graded answers of that source alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.evaluation.baselines import trees
from training.pools.complexity_tiers import TIERS
from training.pools.work_pools import Floats, Ints, WorkPool

Float32s = npt.NDArray[np.float32]

FIXED, STRONG_TIER, MIDDLE_TIER, WEAK_TIER = "fixed lane", "strong tier", "middle tier", "weak tier"
COMPLEXITY, NEIGHBOURS, TREES = "LiteLLM", "kNN-50", "LightGBM"
OURS, OURS_WITH_COSTS = "llmdeal", "llmdeal, costs known"
MIX = "mix of two lanes"
N_NEIGHBOURS = 50
_PRICE_TIERS = (WEAK_TIER, MIDDLE_TIER, STRONG_TIER)
_OUTPUT_WEIGHT = 0.25
"""Share of output tokens in the price by which lanes are put into tiers."""


@dataclass(frozen=True, slots=True, eq=False)
class SplitPool:
    """A pool whose prompts are divided.

    Args:
        pool: Pool.
        fitted, aside: Places in the pool of the prompts to learn from, and of those to judge on.
        embeddings: Embeddings of all prompts of the pool, shape (n, d).
        inputs: Standardised embeddings and features, shape (n, i).
    """

    pool: WorkPool
    fitted: Ints
    aside: Ints
    embeddings: Float32s
    inputs: Float32s

    @property
    def mean_score(self) -> Floats:
        """Mean score of each lane on the fitted prompts, shape (m,)."""
        return np.asarray(self.pool.score[self.fitted].mean(axis=0))

    @property
    def mean_cost(self) -> Floats:
        """Mean cost of each lane on the fitted prompts, USD, shape (m,)."""
        return np.asarray(self.pool.cost[self.fitted].mean(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class RouterBeliefs:
    """What a router believes of the prompts kept aside: quality, 0..1, and cost, USD; each of shape (k, m)."""

    quality: Floats
    cost: Floats

    def choices(self, worth: float) -> Ints:
        """Return the lane of each prompt, shape (k,), if a good answer is worth so many USD."""
        return np.asarray(np.argmax(worth * self.quality - self.cost, axis=1), np.intp)


def fixed_choices(split: SplitPool, tiers: Sequence[int] | None) -> dict[str, Ints]:
    """Return the lanes that people would take without weighing single prompts, each of shape (k,).

    - "fixed lane": the best one on the fitted prompts.
    - "weak tier", "middle tier" and "strong tier": the lanes are divided into three tiers by list price; each of these
      is the cheapest lane of its tier.
    - "LiteLLM": tiers by its complexity router. The lanes are divided into four tiers by list price, and each tier
      uses the lane that was best on the fitted prompts.

    Args:
        split: Divided pool.
        tiers: Place in `TIERS` of each prompt kept aside. None: LiteLLM was not asked.
    """
    k = len(split.aside)
    price = split.pool.price @ np.array([1 - _OUTPUT_WEIGHT, _OUTPUT_WEIGHT])
    ranked = np.argsort(price, kind="stable")
    choices = {FIXED: np.full(k, _best(split, np.arange(len(ranked))))}
    for name, members in zip(_PRICE_TIERS, np.array_split(ranked, len(_PRICE_TIERS)), strict=True):
        choices[name] = np.full(k, members[split.mean_cost[members].argmin()])
    if tiers is not None:
        groups = _four_tiers(ranked)
        choices[COMPLEXITY] = np.array([_best(split, groups[tier]) for tier in range(len(TIERS))])[list(tiers)]
    return choices


def _four_tiers(ranked: Ints) -> list[Ints]:
    """Return the lanes of each tier. With fewer lanes than tiers, some tiers share a lane."""
    if len(ranked) >= len(TIERS):
        return np.array_split(ranked, len(TIERS))
    places = np.round(np.linspace(0, len(ranked) - 1, len(TIERS))).astype(int)
    return [ranked[[place]] for place in places]


def _best(split: SplitPool, members: Ints) -> int:
    """Return the lane with the highest mean score on the fitted prompts; of equals, the cheapest."""
    order = np.lexsort((split.mean_cost[members], -split.mean_score[members]))
    return int(members[order[0]])


def learned_routers(split: SplitPool) -> dict[str, RouterBeliefs]:
    """Return the beliefs of the usual learners, fitted to the pool's fitted prompts: kNN-50 and LightGBM."""
    score, cost = split.pool.score[split.fitted], split.pool.cost[split.fitted]
    nearest = _nearest(split)
    relative = cost / cost.mean(axis=0)

    def by_trees(values: Floats) -> Floats:
        of_fit, asked = split.inputs[split.fitted], split.inputs[split.aside]
        return trees(of_fit, values.astype(np.float32), asked).astype(np.float64)

    return {
        NEIGHBOURS: RouterBeliefs(score[nearest].mean(axis=1), cost[nearest].mean(axis=1)),
        TREES: RouterBeliefs(
            by_trees(score).clip(0, 1), by_trees(relative).clip(relative.min(), relative.max()) * cost.mean(axis=0)
        ),
    }


def _nearest(split: SplitPool) -> Ints:
    similarity = split.embeddings[split.aside] @ split.embeddings[split.fitted].T
    return np.argsort(-similarity, axis=1, kind="stable")[:, :N_NEIGHBOURS]


def our_routers(split: SplitPool, quality: Floats, completion_tokens: Floats) -> dict[str, RouterBeliefs]:
    """Return llmdeal's beliefs: from the text alone, and with each lane's mean cost on the fitted prompts.

    Args:
        split: Divided pool.
        quality: P(good answer) of the prompts kept aside, shape (k, m).
        completion_tokens: Expected completion tokens of one call, shape (k, m).
    """
    believed = split.pool.cost_of_tokens(completion_tokens, split.aside)
    return {
        OURS: RouterBeliefs(quality, believed),
        OURS_WITH_COSTS: RouterBeliefs(quality, np.broadcast_to(split.mean_cost, quality.shape)),
    }
