"""Support in the logs, checked against values by hand, and the limits beyond which logs are refused."""

from dataclasses import replace

import numpy as np
import pytest
from off_policy_logs import logs_by_hand

from training.off_policy.comparison import METRICS, ComparisonSettings, compare_policies
from training.off_policy.diagnostics import SupportLimits, diagnose, diagnose_difference, effective_size, refusals
from training.off_policy.evaluation_policies import GreedyPolicy, LoggedPolicy, OneLane
from training.off_policy.intervals.conversations import Conversations
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario

LOGS = logs_by_hand([[0.5, 0.5], [1.0, 0.0], [0.995, 0.005], [0.5, 0.5]], [1, 0, 0, 0], [1.0, np.nan, 0.0, 1.0])
ALWAYS_SECOND = np.array([[0.0, 1.0]] * 4, np.float32)
OBSERVATION = np.array([2.0, 0.0, 2.0, 2.0])


def test_diagnostics_follow_their_definitions() -> None:
    support = diagnose(LOGS, ALWAYS_SECOND, OBSERVATION, Conversations.of(np.arange(4)), SupportLimits())
    assert support.n_requests == 4
    assert support.n_judged == 3
    assert support.n_conversations == 1
    assert support.effective == pytest.approx(1)
    assert support.largest_share == pytest.approx(1)
    assert support.mean_weight == pytest.approx(0.5)
    assert support.unsupported == pytest.approx(0.25)
    assert support.rare == pytest.approx(0.25)
    assert support.lanes[1].wanted == 1
    assert support.lanes[1].n_judged == 1


def test_the_effective_size_of_equal_weights_is_their_number() -> None:
    assert effective_size(np.full(7, 3.0)) == pytest.approx(7)
    assert effective_size(np.zeros(3)) == 0


def test_policies_that_agree_need_no_support() -> None:
    support = diagnose_difference(
        LOGS, ALWAYS_SECOND, ALWAYS_SECOND, OBSERVATION, Conversations.of(np.arange(4)), SupportLimits()
    )
    assert support.disagreement == 0
    assert refusals(support, SupportLimits(), of_judged=True) == ()


def test_a_greedy_log_says_nothing_about_another_policy() -> None:
    traffic = make_traffic(Scenario(exploration=0.0), 0)
    comparison = compare_policies(
        traffic.logs, OneLane("large/d"), LoggedPolicy(), ComparisonSettings(reward_model="beliefs")
    )
    assert not comparison.first.intervals
    assert "could not have been drawn" in comparison.first.refusals["quality"][0]
    assert "explor" in comparison.difference.refusals["utility_usd"][0]
    assert set(comparison.second.intervals) == set(METRICS)


def test_little_feedback_refuses_quality_and_still_tells_cost() -> None:
    traffic = make_traffic(Scenario(exploration=0.5, feedback=0.02), 0)
    comparison = compare_policies(
        traffic.logs, OneLane("large/d"), LoggedPolicy(), ComparisonSettings(reward_model="beliefs")
    )
    assert set(comparison.first.intervals) == {"cost_usd", "latency_ms"}
    assert "judged requests count effectively" in comparison.first.refusals["quality"][0]


def test_wrong_propensities_are_noticed() -> None:
    logs = make_traffic(Scenario(n_requests=4_000, exploration=0.5), 0).logs
    wrong = replace(logs, propensity=np.where(logs.chosen == 3, logs.propensity / 3, logs.propensity))
    comparison = compare_policies(wrong, OneLane("large/d"), LoggedPolicy(), ComparisonSettings(reward_model="beliefs"))
    assert "mean weight" in comparison.first.refusals["quality"][0]


def test_limits_can_be_set() -> None:
    logs = make_traffic(Scenario(exploration=0.5, feedback=0.02), 0).logs
    limits = SupportLimits(fewest_effective=1, fewest_conversations=1, largest_share=1)
    settings = ComparisonSettings(reward_model="beliefs", limits=limits)
    assert set(compare_policies(logs, GreedyPolicy("cheapest"), LoggedPolicy(), settings).first.intervals) == set(
        METRICS
    )
