"""Tests for drift: they find it, and false alarms are rare."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.drift import CalibrationTest, least_stable, population_stability


def answers_until_alarm(drop: float, seed: int, limit: int, tolerance: float = 0.05, between: float = 10_000) -> int:
    """Return how many judged answers it took; `limit` where nothing rang."""
    rng = np.random.default_rng(seed)
    test = CalibrationTest(tolerance, between)
    predictions = rng.beta(6, 2.5, limit)
    is_good = rng.random(limit) < np.maximum(predictions - drop, 0)
    for place in range(limit):
        if test.note(float(predictions[place]), float(is_good[place])):
            return place + 1
    return limit


@pytest.mark.slow
def test_a_drop_is_found_within_a_few_hundred_answers() -> None:
    assert np.median([answers_until_alarm(0.3, seed, 2_000) for seed in range(20)]) < 130
    assert np.median([answers_until_alarm(0.15, seed, 5_000) for seed in range(10)]) < 800


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_stated_even_at_the_edge_of_the_tolerance() -> None:
    # At a small number between false alarms, so that some come at all: the mean run is at least as long.
    runs = [answers_until_alarm(0.05, seed, 2_000, between=100) for seed in range(60)]
    assert np.mean(runs) >= 100
    assert all(answers_until_alarm(0.0, seed, 3_000) == 3_000 for seed in range(10))


def test_what_is_kept_of_a_test_reads_back_the_same() -> None:
    test = CalibrationTest(0.05, 1_000)
    for _ in range(10):
        test.note(0.8, 0.0)
    again = CalibrationTest.from_json(json.loads(json.dumps(test.to_json())), 0.05, 1_000)
    assert (again.capital.tolist(), again.n_answers, again.evidence) == (test.capital.tolist(), 10, test.evidence)
    assert 0 < again.evidence < 1
    with pytest.raises(ValueError, match="capitals"):
        CalibrationTest.from_json({"capital": [1.0], "n_answers": 0}, 0.05, 1_000)


@pytest.mark.slow
@pytest.mark.slow
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=60))
def test_no_answer_makes_a_bet_worthless_for_ever(answers: list[tuple[float, float]]) -> None:
    test = CalibrationTest(0.05, 1e9)
    for predicted, reward in answers:
        test.note(predicted, reward)
        assert (test.capital > 0).all()
        assert 0 <= test.evidence <= 1


def test_samples_of_one_distribution_look_different_as_rarely_as_stated() -> None:
    rng = np.random.default_rng(0)
    exceeded = 0
    for _ in range(600):
        stability = population_stability(rng.lognormal(size=300), rng.lognormal(size=200), 0.05)
        assert stability is not None
        exceeded += stability.index > stability.by_chance
    assert exceeded / 600 < 0.08


def test_a_number_that_moved_comes_first() -> None:
    rng = np.random.default_rng(1)
    before, now = rng.normal(size=(400, 3)), rng.normal(size=(300, 3))
    now[:, 1] += 1.0
    before[:, 2] = now[:, 2] = 7.0  # never differs
    [(name, moved), (_, still)] = least_stable(("still", "moved", "constant"), before, now, 0.01)
    assert name == "moved"
    assert moved.index > max(0.25, moved.by_chance)
    assert still.index < still.by_chance


@pytest.mark.slow
@given(st.lists(st.sampled_from([0.0, 1.0, float("nan")]), max_size=30), st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_any_two_samples_compare_or_are_too_few(before: list[float], now: list[float]) -> None:
    stability = population_stability(np.array(before), np.array(now), 0.01)
    assert stability is None or (stability.index >= 0 and stability.by_chance > 0)
