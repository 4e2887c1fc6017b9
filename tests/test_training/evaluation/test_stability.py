"""Choices under perturbation, for routers whose answer is known."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from training.corpus.routing_measures import Pool
from training.evaluation.stability import PERTURBATIONS, Stability, measure_stability, reword
from training.network.fitted_model import Beliefs

PROMPTS = [f"What is the {word} of {number} APPLES and pears?" for number in range(40) for word in ("sum", "price")]


def pool() -> Pool:
    n = len(PROMPTS)
    cost = np.tile([1e-4, 1e-3], (n, 1))
    score = np.tile([0.0, 1.0], (n, 1))
    return Pool("exam", ("cheap", "dear"), np.arange(n), np.arange(2), score, cost, cost, np.zeros(2), False)


def stability_of(wants_dear: Callable[[str], bool]) -> Stability:
    def believe(prompts: Sequence[str]) -> Beliefs:
        quality = np.array([[0.5, 0.9 if wants_dear(prompt) else 0.1] for prompt in prompts], np.float32)
        return Beliefs(quality, quality, np.full_like(quality, 9), np.zeros(len(prompts), np.float32))

    return measure_stability(pool(), PROMPTS, believe, (0, 1), seed=0)


def test_a_router_that_always_picks_one_is_stable_and_not_diverse() -> None:
    stability = stability_of(lambda prompt: False)
    assert set(stability.kept.values()) == {1.0}
    assert stability.n_effective == pytest.approx(1)


def test_a_router_that_looks_at_capitals_is_shaken_by_their_loss_alone() -> None:
    stability = stability_of(lambda prompt: "APPLES" in prompt and "sum" in prompt)
    assert stability.n_effective > 1.5
    assert stability.kept["lower case"] == pytest.approx(0.5)
    assert stability.kept["courtesy"] == 1.0


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbation_changes_the_text_a_little_and_the_same_way_each_time(name: str) -> None:
    text = "Tom has 14 Red apples and gives Ann three of them. How many are left? " * 4
    first, again = (PERTURBATIONS[name](text, np.random.default_rng(3)) for _ in range(2))
    assert first == again
    assert first != text
    assert len(text) - 20 < len(first) < len(text) + 60


def test_other_words_leave_numbers_names_and_most_of_the_sentence_alone() -> None:
    reworded = reword("How many apples does Ann buy, if each of 17 costs $3? Find the total.", np.random.default_rng(0))
    assert reworded == "What number of apples does Ann buy, if every of 17 costs $3? Determine the total."
    assert reword("nothing to say otherwise", np.random.default_rng(0)) == "nothing to say otherwise"
