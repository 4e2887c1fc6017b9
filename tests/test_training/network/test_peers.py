"""What is shared between models is kept, what is noise in one of them is shrunk, what is truly its own stays."""

import numpy as np
import numpy.typing as npt
import pytest

from training.network.peers import fit_peer_map

Floats = npt.NDArray[np.float64]
N_PROMPTS, N_MODELS = 4_000, 8


def sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)), np.float64)


def graded(true_logits: Floats, random: np.random.Generator) -> npt.NDArray[np.float32]:
    return (random.random(true_logits.shape) < sigmoid(true_logits)).astype(np.float32)


def group_of(n: int, name: str = "exam") -> npt.NDArray[np.str_]:
    return np.full(n, name)


def test_noise_in_single_models_is_taken_back() -> None:
    random = np.random.default_rng(0)
    true = np.linspace(2, -2, N_MODELS) - random.normal(0, 1.5, (N_PROMPTS, 1))
    believed = true + random.normal(0, 0.8, true.shape)
    mixed = fit_peer_map(believed, graded(true, random), group_of(N_PROMPTS)).apply(believed)
    assert np.abs(mixed - true).mean() < 0.6 * np.abs(believed - true).mean()


def test_what_is_truly_a_models_own_is_kept() -> None:
    random = np.random.default_rng(1)
    true = (
        np.linspace(2, -2, N_MODELS)
        - random.normal(0, 1.0, (N_PROMPTS, 1))
        + random.normal(0, 1.0, (N_PROMPTS, N_MODELS))
    )
    mixed = fit_peer_map(true, graded(true, random), group_of(N_PROMPTS)).apply(true)
    assert np.abs(mixed - true).mean() < 0.15


@pytest.mark.parametrize(("n_prompts", "n_models"), [(20, 8), (4_000, 2)])
def test_where_little_is_known_nothing_is_changed(n_prompts: int, n_models: int) -> None:
    random = np.random.default_rng(2)
    logits = random.normal(size=(n_prompts, n_models))
    mixed = fit_peer_map(logits, graded(logits, random), group_of(n_prompts)).apply(logits)
    assert mixed == pytest.approx(logits)


def test_models_of_another_group_have_no_say() -> None:
    random = np.random.default_rng(3)
    true = np.linspace(1, -1, N_MODELS) - random.normal(0, 1.0, (N_PROMPTS, 1))
    scores = graded(true, random)
    half = N_PROMPTS // 2
    scores[:half, 4:] = np.nan
    scores[half:, :4] = np.nan
    group = np.concatenate([group_of(half, "a"), group_of(half, "b")])
    matrix = fit_peer_map(true, scores, group).matrix
    assert not matrix[:4, 4:].any()
    assert not matrix[4:, :4].any()


def test_a_model_that_nobody_graded_keeps_its_logit() -> None:
    random = np.random.default_rng(4)
    true = random.normal(size=(N_PROMPTS, N_MODELS))
    scores = graded(true, random)
    scores[:, 5] = np.nan
    mixed = fit_peer_map(true, scores, group_of(N_PROMPTS)).apply(true)
    assert mixed[:, 5] == pytest.approx(true[:, 5])
