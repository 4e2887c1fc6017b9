"""Prompts are chosen by what their answers would teach, and kinds take turns."""

import numpy as np
import pytest

from router.prompt_choice import PromptChoice

RNG = np.random.default_rng(5)
DESIGN = np.concatenate([np.ones((40, 1)), RNG.normal(size=(40, 2))], axis=1)
MEAN = np.zeros(3)
COVARIANCE = np.diag([1.0, 0.5, 0.25])


def choice(kinds: object = 0) -> PromptChoice:
    return PromptChoice(DESIGN, np.broadcast_to(kinds, 40).astype(np.intp), MEAN, COVARIANCE)


def test_the_gain_of_an_answer_is_what_it_takes_off_the_variance() -> None:
    asked = choice()
    before, gain = asked.logit_std**2, asked.gains()[7]
    asked.expect_answer(7)
    assert before - asked.logit_std**2 == pytest.approx(gain)
    assert gain > 0


def test_the_expected_variance_is_that_of_a_logistic_regression_at_the_prior() -> None:
    asked = choice()
    rows = [3, 11, 20]
    for row in rows:
        asked.expect_answer(row)
    design = DESIGN[rows].clip(-2, 2)
    spread = np.einsum("nk,kl,nl->n", design, COVARIANCE, design)
    chance = 1 / (1 + np.exp(-(design @ MEAN) / np.sqrt(1 + np.pi / 8 * spread)))
    information = (design * (chance * (1 - chance))[:, None]).T @ design
    expected = np.trace(np.linalg.inv(np.linalg.inv(COVARIANCE) + information))
    assert asked.logit_std**2 == pytest.approx(expected)


def test_kinds_take_turns() -> None:
    kinds = np.arange(40) % 4
    asked = choice(kinds)
    order = []
    for _ in range(12):
        best = int(asked.gains().argmax())
        order.append(int(kinds[best]))
        asked.mark_asked(best)
        asked.expect_answer(best)
    assert [sorted(order[start : start + 4]) for start in (0, 4, 8)] == [[0, 1, 2, 3]] * 3


def test_a_kind_without_prompts_left_does_not_stop_the_others() -> None:
    kinds = np.array([1] + [0] * 39)
    asked = choice(kinds)
    for _ in range(10):
        best = int(asked.gains().argmax())
        assert asked.gains()[best] > 0
        asked.mark_asked(best)


def test_a_prompt_is_offered_again_only_if_it_is_marked_free() -> None:
    asked = choice()
    for place in range(40):
        asked.mark_asked(place)
    assert not asked.gains().any()
    asked.mark_free(9)
    assert np.flatnonzero(asked.gains()).tolist() == [9]


def test_a_new_belief_forgets_expected_answers_and_not_which_prompts_were_asked() -> None:
    asked = choice()
    asked.mark_asked(4)
    asked.expect_answer(4)
    asked.believe(MEAN, COVARIANCE)
    assert asked.logit_std == pytest.approx(np.sqrt(1.75))
    assert asked.gains()[4] == 0
