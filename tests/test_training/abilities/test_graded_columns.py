"""Log odds of one column of grades: right, with right variances, and adjusted for which prompts were answered."""

import numpy as np
import pandas as pd
import pytest

from training.abilities.graded_columns import read_column


def grades_of(
    random: np.random.Generator, abilities: list[float], ease: np.ndarray, share: float = 1.0
) -> pd.DataFrame:
    rows = []
    for model, ability in enumerate(abilities):
        chance = 1 / (1 + np.exp(-(ability + ease)))
        for prompt, score in enumerate((random.random(len(ease)) < chance).astype(float)):
            if random.random() < share:
                rows.append((f"p{prompt}", f"acme/m{model}", "", score))
    return pd.DataFrame(rows, columns=["prompt_id", "model", "effort", "score"])


def test_log_odds_are_those_of_the_mean_grade_if_all_prompts_were_answered() -> None:
    grades = grades_of(np.random.default_rng(0), [-1.0, 0.0, 1.0, 1.5], np.random.default_rng(1).normal(0, 1, 400))
    column = read_column(grades)
    means = grades.groupby("model")["score"].mean().to_numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-column.log_odds)), means, atol=0.01)
    assert column.n_prompts.tolist() == [400] * 4


def test_a_model_that_answered_easy_prompts_alone_is_not_overrated() -> None:
    random = np.random.default_rng(2)
    ease = np.repeat([2.0, -2.0], 100)
    grades = grades_of(random, [0.0] * 6, ease)
    easy = {f"p{number}" for number in range(100)}
    grades = grades[(grades["model"] != "acme/m0") | grades["prompt_id"].isin(easy)]
    column = read_column(grades)
    assert grades[grades["model"] == "acme/m0"]["score"].mean() > 0.8
    assert abs(column.log_odds[0]) < 0.4
    assert column.ease_of(sorted(easy)) == pytest.approx(2.0, abs=0.4)
    assert column.ease_of(["no such prompt"]) == 0.0


@pytest.mark.slow
def test_variances_are_those_of_repeated_sampling() -> None:
    ease = np.random.default_rng(3).normal(0, 1.5, 60)
    truth = np.array([-1.0, 0.0, 0.0, 1.0])
    deviations = []
    for seed in range(60):
        column = read_column(grades_of(np.random.default_rng(seed), list(truth), ease, share=0.5))
        chance = 1 / (1 + np.exp(-(truth[:, None] + ease)))
        expected = np.log(chance.mean(1) / (1 - chance.mean(1)))
        deviations.append((column.log_odds - expected) / np.sqrt(column.variances))
    assert 0.8 < np.std(deviations) < 1.25


def test_a_model_without_any_good_answer_has_a_finite_and_uncertain_value() -> None:
    random = np.random.default_rng(4)
    grades = grades_of(random, [-30.0, 0.0, 0.5, 1.0], random.normal(0, 1, 20))
    column = read_column(grades)
    assert -7 < column.log_odds[0] < -2
    assert column.variances[0] > 3 * column.variances[1:].max()
