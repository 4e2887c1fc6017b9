"""A new model is placed by its graded answers; with few, the trained models say where new models usually lie."""

import numpy as np
import pytest

from router.log_odds import logit, sigmoid
from router.placement import GradedAnswers, Placement, PlacementSpace
from router.reference_answers import ReferenceAnswers

RNG = np.random.default_rng(0)
N_PROMPTS, N_MODELS = 3_000, 20


def made_reference() -> ReferenceAnswers:
    """Return models that differ in ability and, a little, in what they are good at."""
    hardness, kind = RNG.normal(0, 1.5, N_PROMPTS), RNG.choice([-1.0, 1.0], N_PROMPTS)
    ability, bent = RNG.normal(0.5, 1, N_MODELS), RNG.normal(0, 0.5, N_MODELS)
    chance = sigmoid(ability - hardness[:, None] + kind[:, None] * bent)
    length = np.exp(4 + 0.5 * hardness[:, None] + RNG.normal(0, 0.3, N_MODELS))
    nothing = np.zeros(N_PROMPTS, np.float32)
    score = (RNG.random(chance.shape) < chance).astype(np.float32)
    return ReferenceAnswers(
        chance.astype(np.float32),
        length.astype(np.float32),
        score,
        length.astype(np.float32),
        hardness.astype(np.float32),
        nothing,
        nothing.astype(np.uint16),
        nothing.astype(np.uint16),
        np.array(["made/all"]),
    )


REFERENCE = made_reference()
SPACE = PlacementSpace.of(REFERENCE)
NEW = sigmoid(logit(REFERENCE.quality).mean(axis=1) + 1.2)  # abler than the average by 1.2


def graded(rows: np.ndarray, tokens: float = np.nan) -> GradedAnswers:  # type: ignore[type-arg]
    score = (np.random.default_rng(1).random(len(rows)) < NEW[rows]).astype(np.float32)
    return GradedAnswers(
        REFERENCE.quality[rows], REFERENCE.completion_tokens[rows], score, np.full(len(rows), tokens, np.float32)
    )


def believed(placement: Placement) -> np.ndarray:  # type: ignore[type-arg]
    return sigmoid(logit(REFERENCE.quality) @ placement.weights + placement.offset)


def test_fifty_answers_place_a_model_closer_than_none() -> None:
    none = SPACE.place(graded(np.arange(0)))
    some = SPACE.place(graded(SPACE.choose(REFERENCE.quality, 50)))
    assert np.abs(believed(some) - NEW).mean() < np.abs(believed(none) - NEW).mean() / 2
    assert some.logit_std < none.logit_std
    assert (none.n_answers, some.n_answers) == (0, 50)


def test_many_answers_find_the_model() -> None:
    placement = SPACE.place(graded(np.arange(N_PROMPTS)))
    assert np.abs(believed(placement) - NEW).mean() < 0.02
    assert placement.logit_std < 0.3


def test_without_answers_a_model_is_like_the_trained_ones() -> None:
    placement = SPACE.place(graded(np.arange(0)))
    assert believed(placement).mean() == pytest.approx(REFERENCE.quality.mean(), abs=0.03)
    assert placement.log_tokens_offset == pytest.approx(0, abs=0.2)


def test_a_firm_prior_outweighs_a_few_answers() -> None:
    answers = graded(np.arange(10))
    high, low = (SPACE.place(answers, ability, 0.05) for ability in (4.0, -2.0))
    assert believed(high).mean() > 0.9 > 0.4 > believed(low).mean()


def test_lengths_follow_the_answers_and_unknown_ones_teach_nothing() -> None:
    rows = np.arange(200)
    double = SPACE.place(graded(rows, 2 * float(REFERENCE.completion_tokens.mean())))
    unknown = SPACE.place(graded(rows))
    typical = REFERENCE.completion_tokens[rows].mean(axis=1)
    expected = np.exp(double.log_tokens_offset) * typical**double.log_tokens_slope
    assert expected.mean() == pytest.approx(2 * REFERENCE.completion_tokens.mean(), rel=0.15)
    assert unknown.log_tokens_slope == pytest.approx(SPACE.length_mean[1])


def test_chosen_prompts_tell_more_than_the_first_ones() -> None:
    chosen = SPACE.choose(REFERENCE.quality, 30)
    assert len(set(chosen.tolist())) == 30
    assert SPACE.place(graded(chosen)).logit_std < SPACE.place(graded(np.arange(30))).logit_std


def test_no_more_prompts_are_chosen_than_there_are() -> None:
    assert sorted(SPACE.choose(REFERENCE.quality[:7], 50).tolist()) == list(range(7))
