"""The estimators: checked by hand, unbiased on simulated traffic, and robust where they claim to be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.off_policy.comparison import ComparisonSettings, PolicyJudge
from training.off_policy.estimators.port import Estimate, JudgedSample
from training.off_policy.estimators.registry import ESTIMATORS
from training.off_policy.estimators.switch import SwitchDoublyRobust
from training.off_policy.evaluation_policies import GreedyPolicy, OneLane
from training.off_policy.synthetic import LANES, make_traffic
from training.off_policy.traffic import Scenario

# Two requests over two lanes; lane 0 and lane 1 drawn; the second policy always takes lane 1.
BY_HAND = JudgedSample(
    policy=np.array([[0.0, 1.0], [0.0, 1.0]]),
    behaviour=np.array([[0.5, 0.5], [0.75, 0.25]]),
    weight=np.array([0.0, 4.0]),
    observation=np.ones(2),
    outcome=np.array([1.0, 0.5]),
    expected=np.array([[0.9, 0.3], [0.8, 0.4]]),
    chosen=np.array([0, 1]),
    scale=1.0,
)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ips", 4 * 0.5 / 2), ("snips", 0.5), ("dm", (0.3 + 0.4) / 2), ("dr", (0.3 + 0.4 + 4 * (0.5 - 0.4)) / 2)],
)
def test_an_estimator_follows_its_formula(name: str, value: float) -> None:
    estimate = ESTIMATORS[name].estimate(BY_HAND)
    assert estimate.value == pytest.approx(value)
    assert estimate.influence.mean() == pytest.approx(0, abs=1e-12)


def test_above_the_threshold_the_reward_model_alone_counts() -> None:
    assert SwitchDoublyRobust(threshold=3.0).estimate(BY_HAND).value == pytest.approx(0.35)
    assert SwitchDoublyRobust(threshold=4.0).estimate(BY_HAND).value == ESTIMATORS["dr"].estimate(BY_HAND).value


def test_a_policy_whose_draws_were_never_judged_has_no_self_normalised_estimate() -> None:
    unseen = JudgedSample(
        BY_HAND.policy, BY_HAND.behaviour, np.zeros(2), BY_HAND.observation, BY_HAND.outcome, None, BY_HAND.chosen, 1.0
    )
    assert np.isnan(ESTIMATORS["snips"].estimate(unseen).value)


def test_the_influence_of_a_difference_is_the_difference_of_the_influences() -> None:
    first = Estimate.of_terms(np.array([0.2, 0.6]), 1.0)
    second = Estimate.of_ratio(np.array([0.1, 0.3]), np.array([0.5, 1.5]))
    difference = first - second
    assert difference.value == pytest.approx(0.4 - 0.2)
    np.testing.assert_allclose(difference.influence, first.influence - second.influence)
    assert difference.span is None


@given(
    weight=st.lists(st.floats(0, 50), min_size=2, max_size=20),
    seed=st.integers(0, 1_000),
)
def test_self_normalised_estimates_stay_within_the_outcomes(weight: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = len(weight)
    outcome = rng.random(n)
    sample = JudgedSample(
        np.ones((n, 1)), np.ones((n, 1)), np.array(weight), np.ones(n), outcome, None, np.zeros(n, np.intp), 1.0
    )
    value = ESTIMATORS["snips"].estimate(sample).value
    assert np.isnan(value) or outcome.min() - 1e-9 <= value <= outcome.max() + 1e-9


def mean_error(method: str, scenario: Scenario, runs: int, reward_offset: float = 0.0) -> tuple[float, float]:
    """Return the mean error of the quality of always asking lane 2, and that mean's standard error."""
    errors = []
    for seed in range(runs):
        traffic = make_traffic(scenario, seed)
        judge = PolicyJudge(
            traffic.logs,
            OneLane(LANES[2]),
            GreedyPolicy("cheapest"),
            ComparisonSettings(method=method, reward_model="beliefs"),
        )
        sample = judge.quality_sample(judge.policies[0])
        errors.append(ESTIMATORS[method].estimate(sample).value - traffic.truth(OneLane(LANES[2]))["quality"])
    return float(np.mean(errors)), float(np.std(errors) / np.sqrt(runs))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ips", "snips", "dr"])
def test_estimates_have_no_bias_even_if_the_logged_beliefs_do(method: str) -> None:
    error, luck = mean_error(method, Scenario(n_requests=600, exploration=0.5, belief_bias=-2.0), 60)
    assert abs(error) < 3.5 * luck + 0.002


@pytest.mark.slow
@pytest.mark.parametrize("method", ["snips", "dr"])
def test_estimates_have_no_bias_if_expensive_lanes_are_judged_more_often(method: str) -> None:
    scenario = Scenario(n_requests=1_500, exploration=0.6, feedback=0.2, feedback_by_lane=2.0)
    error, luck = mean_error(method, scenario, 50)
    assert abs(error) < 3.5 * luck + 0.003
