"""Calibration against a truth that we made."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from training.network.calibration import fit_calibration
from training.network.outputs import NetworkOutputs

Array = npt.NDArray[Any]


def outputs_of(logits: Array, log_tokens: Array, difficulty: Array) -> NetworkOutputs:
    n, _ = logits.shape
    return NetworkOutputs(
        np.stack([logits - 0.1, logits + 0.1], axis=1).astype(np.float32),
        log_tokens.astype(np.float32),
        difficulty.astype(np.float32),
        np.ones((n, 1), np.float32),
    )


def one_group(scores: Array) -> Array:
    return np.full(len(scores), "exam")


@pytest.fixture
def world() -> tuple[NetworkOutputs, Array, Array]:
    random = np.random.default_rng(0)
    n = 6_000
    difficulty = random.normal(0.7, 1.2, n)
    ability = np.array([2.0, 0.5, -1.0])
    true_logits = ability - difficulty[:, None]
    scores = (random.random((n, 3)) < 1 / (1 + np.exp(-true_logits))).astype(np.float32)
    tokens = np.exp(random.normal(4.0, 0.8, (n, 3))).astype(np.float32)
    # The network is overconfident by a factor of two and predicts the median length.
    return outputs_of(2 * true_logits, np.full((n, 3), 4.0), difficulty * 3), scores, tokens


def test_overconfidence_is_taken_back(world: tuple[NetworkOutputs, Array, Array]) -> None:
    outputs, scores, tokens = world
    believed = fit_calibration(outputs, scores, tokens, one_group(scores)).quality(outputs)
    true = 1 / (1 + np.exp(-outputs.logits / 2))
    assert np.abs(believed - true).mean() < 0.01
    assert np.abs(believed - true).max() < 0.05


def test_difficulty_and_abilities_share_one_scale(world: tuple[NetworkOutputs, Array, Array]) -> None:
    outputs, scores, tokens = world
    calibration = fit_calibration(outputs, scores, tokens, one_group(scores))
    assert calibration.difficulty(outputs).mean() == pytest.approx(0, abs=1e-4)
    assert np.diff(calibration.abilities) == pytest.approx([-1.5, -1.5], abs=0.15)
    assert calibration.abilities[0] == pytest.approx(2.0 - 0.7, abs=0.12)


def test_predicted_tokens_add_up_to_those_seen(world: tuple[NetworkOutputs, Array, Array]) -> None:
    outputs, scores, tokens = world
    believed = fit_calibration(outputs, scores, tokens, one_group(scores)).completion_tokens(outputs)
    assert believed.sum(axis=0) == pytest.approx(tokens.sum(axis=0), rel=0.01)


def test_lengths_that_scatter_upwards_are_believed_longer_where_they_scatter_more(
    world: tuple[NetworkOutputs, Array, Array],
) -> None:
    _, scores, _ = world
    random = np.random.default_rng(4)
    believed = random.normal(4, 1, scores.shape)
    tokens = np.exp(believed + random.normal(size=scores.shape) * np.maximum(believed - 4, 0) / 2).astype(np.float32)
    outputs = outputs_of(np.zeros(scores.shape), believed, random.normal(size=len(scores)))
    calibration = fit_calibration(outputs, scores, tokens, one_group(scores))
    assert (calibration.length_slope > 1).all()
    assert calibration.completion_tokens(outputs).sum(axis=0) == pytest.approx(tokens.sum(axis=0), rel=0.05)


def test_few_answers_make_for_more_doubt(world: tuple[NetworkOutputs, Array, Array]) -> None:
    outputs, scores, tokens = world
    scores[30:, 2] = np.nan
    calibration = fit_calibration(outputs, scores, tokens, one_group(scores))
    assert calibration.intercept_variance[2] > 10 * calibration.intercept_variance[0]


def test_a_model_that_nobody_graded_or_counted_still_gets_finite_beliefs(
    world: tuple[NetworkOutputs, Array, Array],
) -> None:
    outputs, scores, tokens = world
    scores[:, 1] = np.nan
    tokens[:] = np.nan
    calibration = fit_calibration(outputs, scores, tokens, one_group(scores))
    assert np.isfinite(calibration.quality(outputs)).all()
    assert np.isfinite(calibration.quality_std(outputs)).all()
    assert np.isfinite(calibration.completion_tokens(outputs)).all()
