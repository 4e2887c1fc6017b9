"""Breaks a router's results down by task, by difficulty and by stated probability."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.corpus.routing_measures import (
    N_BINS,
    Floats,
    Pool,
    area_under_roc,
    calibration_error,
    choose,
    trade_at_cost,
)
from training.evaluation.baselines import BaselineBeliefs
from training.network.fitted_model import Beliefs

_N_DECILES = 10


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task of a pool, at the trade that halves the best single model's cost over the whole pool.

    Args:
        task: Name of the task.
        prompts: Number of prompts.
        score, cost_share: Mean score, and mean cost divided by that of the best single model.
        best_single_score: Mean score of the pool's best single model.
        oracle_score: Mean score of the best answer to each prompt.
        auc, ece: Measures of `RoutingMeasures`.
    """

    task: str
    prompts: int
    score: float
    cost_share: float
    best_single_score: float
    oracle_score: float
    auc: float
    ece: float


@dataclass(frozen=True, slots=True, eq=False)
class DifficultyRegret:
    """The loss against an oracle that knows every grade and cost, by decile of believed difficulty, easiest first.

    Args:
        lost: Router -> shape (10,), score points per prompt. Costs count at the trade that halves the best single
            model's cost.
    """

    lost: Mapping[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Stated and true shares of good answers in 15 equal bins of the stated probability; NaN if a bin is empty.

    Args:
        stated, graded: Shape (15,); mean stated probability and mean grade of each bin.
        answers: Shape (15,); number of answers in each bin.
    """

    stated: Floats
    graded: Floats
    answers: npt.NDArray[np.intp]


def by_task(pool: Pool, beliefs: Beliefs, tasks: npt.NDArray[np.str_]) -> list[TaskRow]:
    """Return one row per task.

    Args:
        pool: Graded answers of one source.
        beliefs: Beliefs about the whole corpus.
        tasks: Shape (n_corpus,); task of each prompt.
    """
    quality, believed = _believed(pool, beliefs)
    best = _best_single(pool)
    chosen = choose(quality, believed, _half_cost_trade(pool, quality, believed))
    of_pool = tasks[pool.rows]
    rows = []
    for task in np.unique(of_pool):
        at = np.flatnonzero(of_pool == task)
        aucs = [
            area_under_roc(pool.score[at, column] >= 0.5, quality[at, column]) for column in range(quality.shape[1])
        ]
        defined = [auc for auc in aucs if not np.isnan(auc)]
        rows.append(
            TaskRow(
                str(task),
                len(at),
                float(pool.score[at, chosen[at]].mean()),
                float(pool.cost[at, chosen[at]].mean() / max(pool.cost[at, best].mean(), 1e-12)),
                float(pool.score[at, best].mean()),
                float(pool.score[at].max(axis=1).mean()),
                float(np.mean(defined)) if defined else float("nan"),
                calibration_error(quality[at].ravel(), pool.score[at].ravel()),
            )
        )
    return rows


def by_difficulty(pool: Pool, routers: Mapping[str, Beliefs | BaselineBeliefs], difficulty: Floats) -> DifficultyRegret:
    """Return the regret of every router and of always asking the best single model.

    Args:
        pool: Graded answers of one source.
        routers: Name -> beliefs about the whole corpus; the first router sets the trade.
        difficulty: Shape (n_corpus,); difficulty of each prompt.
    """
    rows = np.arange(len(pool.rows))
    first = next(iter(routers.values()))
    trade = _half_cost_trade(pool, *_believed(pool, first))
    worth = pool.score - trade * pool.cost
    choices = {name: choose(*_believed(pool, router), trade) for name, router in routers.items()}
    choices["best single"] = np.full(len(rows), _best_single(pool))
    deciles = np.array_split(np.argsort(difficulty[pool.rows], kind="stable"), _N_DECILES)
    lost = {name: worth.max(axis=1) - worth[rows, chosen] for name, chosen in choices.items()}
    return DifficultyRegret(
        {name: np.array([values[decile].mean() for decile in deciles]) for name, values in lost.items()}
    )


def reliability(pool: Pool, beliefs: Beliefs | BaselineBeliefs) -> Reliability:
    """Return how stated probabilities compare with grades."""
    quality, score = pool.part_of(beliefs.quality).ravel(), pool.score.ravel()
    bins = np.clip((quality * N_BINS).astype(int), 0, N_BINS - 1)
    answers = np.bincount(bins, minlength=N_BINS)
    with np.errstate(invalid="ignore"):
        stated, graded = (np.bincount(bins, weights=values, minlength=N_BINS) / answers for values in (quality, score))
    return Reliability(stated, graded, answers)


def _believed(pool: Pool, router: Beliefs | BaselineBeliefs) -> tuple[Floats, Floats]:
    return pool.part_of(router.quality), pool.believed_cost(pool.part_of(router.completion_tokens))


def _half_cost_trade(pool: Pool, quality: Floats, believed: Floats) -> float:
    return trade_at_cost(pool, quality, believed, float(pool.cost[:, _best_single(pool)].mean()) / 2)


def _best_single(pool: Pool) -> int:
    return int(pool.score.mean(axis=0).argmax())
