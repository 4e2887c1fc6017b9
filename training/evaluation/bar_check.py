"""Checks whether the relative bar holds on prompts that it was not solved on.

It is tried with all models of a pool, and with random small groups (handfuls) of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.bar import BarRule, solve_bar
from training.corpus.routing_measures import Floats, Pool
from training.network.fitted_model import Beliefs

SHARES = (0.9, 0.95, 0.98)
_N_HANDFULS = 10
_LARGEST_HANDFUL = 9
_SOLVING_PROMPTS = 2_000
"""Number of prompts of a source in a bundle's reference answers."""


@dataclass(frozen=True, slots=True)
class BarCheck:
    """The results of a bar on prompts that it was not solved on.

    Args:
        source: Source of the pool.
        share: Wanted share of the best model's mean score.
        kept: Share that the whole pool kept; mean over folds.
        saved: Share of the best model's cost that the whole pool saved.
        held: Share of all trials with random handfuls of models that kept at least `share`.
        kept_by_handfuls: Mean share that the handfuls kept.
        saved_by_handfuls: Mean share of the cost that the handfuls saved.
        trials: Number of handfuls times number of folds.
    """

    source: str
    share: float
    kept: float
    saved: float
    held: float
    kept_by_handfuls: float
    saved_by_handfuls: float
    trials: int


def check_bar(pool: Pool, beliefs: Beliefs, fold: npt.NDArray[np.intp], seed: int) -> list[BarCheck]:
    """Return one check for each of `SHARES`.

    Args:
        pool: Graded answers of one source.
        beliefs: Out-of-fold beliefs about the whole corpus.
        fold: Shape (n_corpus,); fold of each prompt.
        seed: Seed of the random handfuls.
    """
    quality = pool.part_of(beliefs.quality)
    cost = pool.believed_cost(pool.part_of(beliefs.completion_tokens))
    rng = np.random.default_rng(seed)
    all_models = np.arange(len(pool.trained_names))
    largest = min(_LARGEST_HANDFUL, len(all_models) - 1)
    handfuls = [
        rng.choice(all_models, rng.integers(2, largest, endpoint=True), replace=False) for _ in range(_N_HANDFULS)
    ]
    folds = fold[pool.rows]
    checks = []
    for share in SHARES:
        whole = [_try(pool, quality, cost, folds == held_out, all_models, share) for held_out in np.unique(folds)]
        trials = [
            _try(pool, quality, cost, folds == held_out, handful, share)
            for handful in handfuls
            for held_out in np.unique(folds)
        ]
        kept, saved = np.array(whole).mean(axis=0)
        by_handfuls = np.array(trials)
        held = float((by_handfuls[:, 0] >= share).mean())
        means = by_handfuls.mean(axis=0)
        checks.append(BarCheck(pool.source, share, kept, saved, held, float(means[0]), float(means[1]), len(trials)))
    return checks


def _try(
    pool: Pool,
    quality: Floats,
    cost: Floats,
    is_held_out: npt.NDArray[np.bool_],
    models: npt.NDArray[np.intp],
    share: float,
) -> tuple[float, float]:
    """Return (share kept, cost saved) on the held-out prompts, with a bar that was solved on the other prompts."""
    solving = np.flatnonzero(~is_held_out)[:: max(1, int((~is_held_out).sum()) // _SOLVING_PROMPTS)]
    part = np.ix_(solving, models)
    rule = solve_bar(quality[part], cost[part], pool.score[part], [np.arange(len(solving))], share)
    part = np.ix_(np.flatnonzero(is_held_out), models)
    return kept_and_saved(quality[part], cost[part], pool.score[part], pool.cost[part], rule)


def kept_and_saved(
    quality: Floats, believed_cost: Floats, score: Floats, cost: Floats, rule: BarRule
) -> tuple[float, float]:
    """Return (share of the best model's mean score, saved share of its cost) of a rule; arrays have shape (n, m)."""
    rows = np.arange(len(quality))
    chosen = rule.choose(quality, believed_cost)
    best = int(score.mean(axis=0).argmax())
    kept = float(score[rows, chosen].mean() / max(score[:, best].mean(), 1e-9))
    return kept, float(1 - cost[rows, chosen].mean() / max(cost[:, best].mean(), 1e-12))


def drift(pool: Pool, difficulty: Floats, elsewhere: Floats, abilities: Sequence[float], share: float) -> float:
    """Return the share that the bar keeps on a source left out of training.

    The bar is solved on the believed difficulties of the other sources. Of the models only their abilities are used, so
    that the result depends on the predicted difficulty and on the bar alone.

    Args:
        pool: Pool of the source that was left out.
        difficulty: Shape (n,); believed difficulty of its prompts.
        elsewhere: Shape (k,); believed difficulty of prompts of other sources.
        abilities: Abilities of the pool's models, on the scale of difficulty.
        share: Share that the bar is to keep.
    """

    def believed(of: Floats) -> Floats:
        return np.asarray(1 / (1 + np.exp(of[:, None] - np.array(abilities))), np.float64)

    here, there = believed(difficulty), believed(elsewhere)
    prices = pool.cost.mean(axis=0)
    rule = solve_bar(there, np.tile(prices, (len(there), 1)), there, [np.arange(len(there))], share)
    return kept_and_saved(here, np.tile(prices, (len(here), 1)), pool.score, pool.cost, rule)[0]
