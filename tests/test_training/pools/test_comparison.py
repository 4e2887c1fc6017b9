"""Policies on pools whose truth is known: what beats a mix of two lanes, and what does not."""

import numpy as np
import pytest

from training.pools.comparison import PoolComparison, compare, hull_lanes, mix_scores
from training.pools.policies import (
    COMPLEXITY,
    FIXED,
    MIX,
    NEIGHBOURS,
    OURS,
    STRONG_TIER,
    WEAK_TIER,
    RouterBeliefs,
    SplitPool,
    fixed_choices,
    learned_routers,
)
from training.pools.work_pools import Floats, WorkPool

N_PROMPTS = 400
LANES = (("acme/small", ""), ("acme/middle", ""), ("acme/large", "high"))


def split_pool(seed: int = 0) -> tuple[SplitPool, Floats]:
    """A pool in which the cheap lane does every easy prompt, and the second input says which are easy."""
    rng = np.random.default_rng(seed)
    is_easy = rng.random(N_PROMPTS) < 0.5
    chance = np.stack([np.where(is_easy, 0.95, 0.1), np.where(is_easy, 0.5, 0.3), np.full(N_PROMPTS, 0.9)], axis=1)
    score = (rng.random(chance.shape) < chance).astype(np.float64)
    cost = np.array([0.01, 0.05, 0.10]) * rng.uniform(0.8, 1.2, chance.shape)
    places = np.arange(N_PROMPTS)
    price = np.array([[1.0, 2.0], [3.0, 9.0], [5.0, 20.0]]) / 1e6
    pool = WorkPool(
        "made", ("acme",), LANES, places, np.arange(3), score, cost, np.full(N_PROMPTS, 100.0), price, "paid"
    )
    inputs = np.stack([rng.normal(size=N_PROMPTS), np.where(is_easy, 1.0, -1.0)], axis=1).astype(np.float32)
    embeddings = inputs / np.linalg.norm(inputs, axis=1, keepdims=True)
    return SplitPool(pool, places[:250], places[250:], embeddings, inputs), chance


def judged() -> PoolComparison:
    split, chance = split_pool()
    seen = RouterBeliefs(chance[split.aside], np.broadcast_to(split.mean_cost, (150, 3)))
    blind = RouterBeliefs(np.broadcast_to(split.mean_score, (150, 3)), seen.cost)
    tiers = np.where(split.inputs[split.aside, 1] > 0, 0, 3).tolist()
    routers = learned_routers(split) | {OURS: seen, "blind": blind}
    return compare(split, fixed_choices(split, tiers), routers, seed=0)


def test_who_knows_the_prompts_beats_the_mix_and_who_does_not_cannot() -> None:
    comparison = judged()
    policies = comparison.policies
    assert comparison.lanes == ("acme/small", "acme/middle", "acme/large@high")
    assert comparison.fixed_lane == "acme/large@high"
    assert (comparison.n_fitted, comparison.n_aside, comparison.is_small) == (250, 150, False)
    for name in (OURS, NEIGHBOURS, COMPLEXITY):
        assert policies[name].beats_the_mix, name
    assert policies[COMPLEXITY].lead > 0.1
    assert not policies["blind"].beats_the_mix
    assert policies["blind"].lead == pytest.approx(0, abs=1e-9)
    assert 0 < policies[OURS].lead_in_hindsight <= policies[OURS].lead + 1e-9
    assert policies[FIXED].lead == pytest.approx(0, abs=1e-9)
    assert policies[OURS].gap_closed == pytest.approx(0.29, abs=0.1)
    assert policies[MIX].scores == (policies[WEAK_TIER].scores[0], policies[FIXED].scores[0])
    assert policies[OURS].cost_share_at_fixed_score is not None
    assert policies[OURS].cost_share_at_fixed_score < 0.8


def test_a_lead_lies_in_its_interval_and_figures_are_means() -> None:
    comparison = judged()
    split, _ = split_pool()
    for figures in comparison.policies.values():
        assert figures.lead_interval.low - 1e-9 <= figures.lead <= figures.lead_interval.high + 1e-9
    large = split.pool.score[split.aside, 2]
    assert comparison.policies[FIXED].scores == pytest.approx((large.mean(),))
    small = split.pool.cost[split.aside, 0]
    assert comparison.policies[WEAK_TIER].costs == pytest.approx((small.mean(),))
    assert comparison.policies[STRONG_TIER].scores == comparison.policies[FIXED].scores


def test_a_mix_costs_what_is_wanted() -> None:
    cost, score = np.array([1.0, 4.0, 2.0, 8.0]), np.array([0.2, 0.5, 0.5, 0.9])
    assert hull_lanes(cost, score).tolist() == [0, 2, 3]
    assert mix_scores(np.array([1.0, 3.0]), np.array([0.2, 0.6]), np.array([0.5, 2.0, 9.0])) == pytest.approx(
        [0.2, 0.4, 0.6]
    )
