"""A fit starts at the means."""

import numpy as np
import pytest
import torch

from router.features import FEATURE_NAMES
from training.network.ensemble import RoutingNetwork
from training.network.starting_point import start_at_means
from training.settings import FitSettings

TASKS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
SCORES = np.array([[1, 0], [1, 0], [1, 1], [0, np.nan], [0, 1], [0, 1], [1, 1], [0, np.nan]], np.float32)
TOKENS = np.array([[10, 20]] * 4 + [[100, np.nan]] * 4, np.float32)


def started(prior_answers: float) -> RoutingNetwork:
    network = RoutingNetwork(
        8 + len(FEATURE_NAMES), 2, 2, FitSettings(n_members=1, n_hidden=4, n_factors=3, n_token_hidden=4)
    )
    start_at_means(network, SCORES, TOKENS, TASKS, prior_answers)
    return network


def chance(network: RoutingNetwork, task: int, model: int) -> float:
    with torch.no_grad():
        return float(torch.sigmoid(network.ability[0, 0, model] + network.quality_task[0, task, model]))


def test_a_task_starts_at_the_models_mean_in_it() -> None:
    network = started(1e-9)
    assert chance(network, 0, 0) == pytest.approx(0.75, abs=1e-3)
    assert chance(network, 1, 0) == pytest.approx(0.25, abs=1e-3)
    lengths = (network.tokens_bias + network.tokens_task[:, 1]).detach().numpy()
    assert lengths[0, 0, 0] == pytest.approx(np.log(101), abs=1e-3)


def test_with_a_strong_prior_every_task_starts_at_the_overall_mean() -> None:
    network = started(1e9)
    for task in (0, 1):
        assert chance(network, task, 0) == pytest.approx(0.5, abs=1e-3)
    assert network.tokens_task.detach().abs().max() < 1e-3
