"""Abilities in small worlds whose truth is known."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from training.abilities.abilities import Abilities, AbilitySettings, fit_abilities
from training.abilities.model_facts import read_name
from training.errors import SettingsError

QUICK = AbilitySettings(n_factors=3, n_sweeps=300)
COLUMNS = ("agents", "code", "chat")
N_MODELS, N_BENCHMARKS, N_GRADED, N_PROMPTS = 60, 12, 40, 80


def price_of(model: str) -> tuple[float, float]:
    """A world in which price buys ability: model number n costs 0.1 x 1.12^n dollars."""
    price = 0.1 * 1.12 ** int(model.split("-n")[1])
    return price, price


@cache
def world(seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, np.ndarray]]:
    """Grades of the first 40 models, scores of all but the last 5, and the true mean grades."""
    random = np.random.default_rng(seed)
    models = [f"vendor{number % 6}/line-n{number}" for number in range(N_MODELS)]
    by_price = np.column_stack([np.linspace(-1.2, 1.2, N_MODELS), np.zeros(N_MODELS)])
    ability = by_price + random.normal(0, 0.5, (N_MODELS, 2))
    loadings = {"agents": (1.2, 0.8), "code": (1.0, 0.0), "chat": (0.5, -0.6)}
    graded, truth = [], {}
    for column in COLUMNS:
        ease = random.normal(0, 1, N_PROMPTS)
        own = ability @ np.array(loadings[column]) + random.normal(0, 0.15, N_MODELS)
        chance = 1 / (1 + np.exp(-(own[:, None] + ease)))
        truth[column] = chance.mean(1)
        for number in range(N_GRADED):
            scores = (random.random(N_PROMPTS) < chance[number]).astype(float)
            graded += [(column, column, f"{column}-{p}", models[number], "", score) for p, score in enumerate(scores)]
    scores = []
    for benchmark in range(N_BENCHMARKS):
        kind = COLUMNS[benchmark % 3]
        value = ability @ np.array(loadings[kind]) + random.normal(0, 0.2, N_MODELS) + 0.3 * benchmark - 2
        scores += [
            (models[number], "", f"board: {benchmark}", kind, value[number], np.nan) for number in range(N_MODELS - 5)
        ]
    return (
        pd.DataFrame(graded, columns=["column", "kind", "prompt_id", "model", "effort", "score"]),
        pd.DataFrame(scores, columns=["model", "effort", "benchmark", "domain", "log_odds", "year"]),
        truth,
    )


@cache
def fitted(n_benchmarks: int = N_BENCHMARKS) -> Abilities:
    graded, scores, _ = world()
    kept = scores[scores["benchmark"].isin([f"board: {number}" for number in range(n_benchmarks)])]
    wanted = [(f"vendor{number % 6}/line-n{number}", "") for number in range(N_MODELS)]
    return fit_abilities(graded, kept, wanted=wanted, price_of=price_of, settings=QUICK)


def expected_grade(abilities: Abilities, number: int) -> np.ndarray:
    return abilities.of(f"vendor{number % 6}/line-n{number}").chances()


@pytest.mark.slow
def test_mean_grades_of_models_that_were_never_graded_are_recovered_from_scores() -> None:
    _, _, truth = world()
    abilities = fitted()
    for place, column in enumerate(abilities.columns):
        never_graded = range(N_GRADED, N_MODELS - 5)
        expected = np.array([expected_grade(abilities, number)[place] for number in never_graded])
        actual = truth[column][N_GRADED : N_MODELS - 5]
        error = np.sqrt(((expected - actual) ** 2).mean())
        without = np.sqrt(((truth[column][:N_GRADED].mean() - actual) ** 2).mean())
        assert error < 0.08
        assert error < 0.5 * without


@pytest.mark.slow
def test_stated_widths_hold_over_several_worlds() -> None:
    deviations = []
    for seed in range(4):
        graded, scores, truth = world(seed)
        wanted = [(f"vendor{number % 6}/line-n{number}", "") for number in range(N_MODELS)]
        abilities = fit_abilities(graded, scores, wanted=wanted, price_of=price_of, settings=QUICK)
        for place, column in enumerate(abilities.columns):
            for number in range(N_GRADED, N_MODELS):
                ability = abilities.of(f"vendor{number % 6}/line-n{number}")
                actual = np.log(truth[column][number] / (1 - truth[column][number]))
                deviations.append((actual - ability.means[place]) / ability.stds[place])
    inside = np.abs(deviations)
    assert 0.38 < (inside < 0.6745).mean() < 0.72
    assert 0.68 < (inside < 1.2816).mean() < 0.93
    assert (inside < 1.96).mean() > 0.87


@pytest.mark.slow
def test_more_scores_make_beliefs_narrower_and_grades_make_them_narrowest() -> None:
    few, many = fitted(3), fitted()
    scored, unscored, graded = N_MODELS - 6, N_MODELS - 2, 1
    name = f"vendor{scored % 6}/line-n{scored}"
    assert (many.of(name).stds < few.of(name).stds).all()
    assert (many.of(f"vendor{unscored % 6}/line-n{unscored}").stds > many.of(name).stds).all()
    assert (many.of(f"vendor{graded % 6}/line-n{graded}").stds < many.of(name).stds).all()


@pytest.mark.slow
def test_a_model_that_no_table_names_is_placed_by_its_price_alone() -> None:
    abilities = fitted()
    cheap = abilities.of("newcomer/line", facts=read_name("newcomer/line", prices=(0.1, 0.1)))
    expensive = abilities.of("newcomer/line", facts=read_name("newcomer/line", prices=(80.0, 80.0)))
    place = abilities.columns.index("agents")
    assert expensive.means[place] > cheap.means[place] + 0.5
    assert (cheap.stds > abilities.of(f"vendor{(N_MODELS - 6) % 6}/line-n{N_MODELS - 6}").stds).all()
    assert set(cheap.basis) == {"class"}


@pytest.mark.slow
def test_a_row_without_observations_and_the_same_facts_outside_the_fit_agree() -> None:
    abilities = fitted()
    number = N_MODELS - 2
    name = f"vendor{number % 6}/line-n{number}"
    twin = replace(abilities.facts[name], model="a/twin", root="a/twin")
    inside, outside = abilities.of(name), abilities.of("a/twin", facts=twin)
    np.testing.assert_allclose(inside.means, outside.means, atol=0.25)
    np.testing.assert_allclose(inside.stds, outside.stds, rtol=0.2)


@pytest.mark.slow
def test_the_basis_says_what_a_belief_rests_on() -> None:
    abilities = fitted()
    assert set(abilities.basis_of("vendor1/line-n1")) == {"own grades"}
    assert set(abilities.basis_of(f"vendor{50 % 6}/line-n50")) == {"published scores"}
    assert set(abilities.basis_of(f"vendor{58 % 6}/line-n58")) == {"class"}
    assert abilities.n_prompts[abilities.rows.index(("vendor1/line-n1", ""))].tolist() == [N_PROMPTS] * 3


@pytest.mark.slow
def test_another_effort_of_a_graded_model_stays_near_its_grades() -> None:
    abilities = fitted()
    default, low = abilities.of("vendor1/line-n1"), abilities.of("vendor1/line-n1", "low")
    np.testing.assert_allclose(default.means, low.means, atol=0.6)
    assert (low.stds > default.stds).all()
    newcomer = abilities.of("newcomer/line", facts=read_name("newcomer/line", prices=price_of("x/line-n1")))
    assert (low.stds < newcomer.stds).all()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_beliefs() -> None:
    graded, scores, _ = world()
    settings = AbilitySettings(2, 40, 5)
    first, second = (fit_abilities(graded, scores, price_of=price_of, settings=settings) for _ in range(2))
    np.testing.assert_array_equal(first.means, second.means)
    np.testing.assert_array_equal(first.stds, second.stds)


@pytest.mark.slow
def test_lengths_are_believed_in_tokens_of_models_that_have_none() -> None:
    graded, scores, _ = world()
    random = np.random.default_rng(0)
    lengths = pd.DataFrame(
        [
            (f"vendor{number % 6}/line-n{number}", "", "chat", "billed", 6.0 + number % 6 + random.normal(0, 0.1))
            for number in range(50)
        ],
        columns=["model", "effort", "task", "kind", "log_tokens"],
    )
    abilities = fit_abilities(graded, scores, lengths=lengths, price_of=price_of, settings=QUICK)
    assert abilities.lengths == ("chat",)
    expected = [abilities.of(f"vendor{number % 6}/line-n{number}").length_means[0] for number in range(50, 55)]
    actual = [6.0 + number % 6 for number in range(50, 55)]
    assert np.corrcoef(expected, actual)[0, 1] > 0.8


def test_grades_alone_are_enough() -> None:
    graded, scores, _ = world()
    settings = AbilitySettings(2, 30)
    abilities = fit_abilities(graded[graded["column"] == "code"], scores[:0], price_of=price_of, settings=settings)
    assert abilities.columns == ("code",)
    assert np.isfinite(abilities.means).all()
    assert (abilities.stds > 0).all()


@pytest.mark.parametrize("n_models", [1, 2])
def test_a_world_of_one_prompt_is_fitted_with_wide_beliefs(n_models: int) -> None:
    rows = [("code", "code", "p", f"v/line-n{number}", "", 1.0) for number in range(n_models)]
    graded = pd.DataFrame(rows, columns=["column", "kind", "prompt_id", "model", "effort", "score"])
    abilities = fit_abilities(graded, world()[1][:0], price_of=price_of, settings=AbilitySettings(2, 30))
    assert np.isfinite(abilities.means).all()
    assert (abilities.of("v/line-n0").stds > 0.05).all()


def test_what_cannot_be_fitted_is_refused() -> None:
    graded, scores, _ = world()
    with pytest.raises(SettingsError, match="no grades"):
        fit_abilities(graded[:0], scores)
    with pytest.raises(SettingsError, match="table benchmarks has no column 'domain'"):
        fit_abilities(graded, scores.drop(columns="domain"))
    with pytest.raises(SettingsError, match="effort 'huge' is unknown"):
        fit_abilities(graded, scores, wanted=[("a/x", "huge")])
    with pytest.raises(SettingsError, match="too small"):
        AbilitySettings(n_factors=0)
