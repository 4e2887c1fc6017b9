"""The check of the bar is itself checked on a world whose truth is known."""

import numpy as np
import pytest

from router.bar import QUALITY_ALONE_USD, BarRule
from training.corpus.routing_measures import Pool
from training.evaluation.bar_check import SHARES, check_bar, drift, kept_and_saved
from training.network.fitted_model import Beliefs

N = 3_000
RNG = np.random.default_rng(5)
CHANCE = np.clip(np.array([0.9, 0.8, 0.5, 0.3]) * RNG.uniform(0.6, 1.1, (N, 1)), 0, 1)
SCORE = (RNG.random(CHANCE.shape) < CHANCE).astype(float)
COST = np.tile([0.03, 0.004, 0.0005, 0.0001], (N, 1))
POOL = Pool("made", ("a", "b", "c", "d"), np.arange(N), np.arange(4), SCORE, COST, COST, np.zeros(4), False)
FOLD = np.arange(N) % 5


def beliefs(quality: np.ndarray) -> Beliefs:  # type: ignore[type-arg]
    nothing = np.ones(quality.shape, np.float32)
    return Beliefs(quality.astype(np.float32), nothing, nothing, nothing[:, 0])


def test_with_true_beliefs_every_bar_is_kept_and_saves() -> None:
    checks = check_bar(POOL, beliefs(CHANCE), FOLD, seed=0)
    assert [check.share for check in checks] == list(SHARES)
    for check in checks:
        assert check.kept >= check.share
        assert check.held >= 0.9
    assert checks[0].saved > 0.3


def test_beliefs_that_tell_nothing_keep_the_bar_by_asking_the_best_model_alone() -> None:
    noise = np.random.default_rng(0).random(CHANCE.shape)
    check = check_bar(POOL, beliefs(noise), FOLD, seed=0)[-1]
    assert check.kept == 1.0
    assert check.saved == 0.0


def test_a_bar_is_reported_as_broken_where_what_it_was_solved_on_misleads() -> None:
    is_turned = FOLD == 0
    score = SCORE.copy()
    score[is_turned] = SCORE[is_turned][:, ::-1]
    turned = Pool("made", POOL.trained_names, POOL.rows, POOL.columns, score, COST, COST, np.zeros(4), False)
    check = check_bar(turned, beliefs(CHANCE), FOLD, seed=0)[-1]
    assert check.kept < check.share
    assert check.held < 0.9


def test_always_the_best_model_keeps_all_and_saves_nothing() -> None:
    quality = np.tile([0.1, 0.1, 0.1, 0.9], (N, 1))
    assert kept_and_saved(quality, COST, SCORE, COST, BarRule(QUALITY_ALONE_USD, lane=0)) == (1.0, 0.0)


def test_a_source_as_hard_as_was_believed_does_not_drift() -> None:
    difficulty = RNG.normal(0, 1, N)
    abilities = [2.0, 1.0, -0.5]
    chance = 1 / (1 + np.exp(difficulty[:, None] - np.array(abilities)))
    score = (np.random.default_rng(1).random(chance.shape) < chance).astype(float)
    pool = Pool(
        "here", ("a", "b", "c"), np.arange(N), np.arange(3), score, COST[:, :3], COST[:, :3], np.zeros(3), False
    )
    kept = drift(pool, difficulty, np.random.default_rng(2).normal(0, 1, N), abilities, 0.9)
    assert kept == pytest.approx(0.93, abs=0.04)
