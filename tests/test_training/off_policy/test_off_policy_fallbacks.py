"""A policy is judged by what callers got, also if another lane than the drawn one gave it."""

from dataclasses import replace

import numpy as np

from training.off_policy.comparison import ComparisonSettings, PolicyJudge
from training.off_policy.evaluation_policies import GreedyPolicy
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario


def test_a_failed_lane_counts_with_the_quality_of_its_fallback() -> None:
    logs = make_traffic(Scenario(exploration=0.5), 0).logs
    fell = np.arange(len(logs)) % 3 == 0  # the fallback's answer is never good
    logs = replace(
        logs,
        is_answered=~fell,
        reward=np.where(fell, np.nan, logs.reward),
        caller_reward=np.where(fell, 0.0, logs.reward),
        caller_reward_std=logs.reward_std,
    )
    policies = GreedyPolicy("best_value"), GreedyPolicy("cheapest")
    estimate = PolicyJudge(logs, *policies, ComparisonSettings("snips")).estimates[0]["quality"].value
    answered = replace(logs, caller_reward=None)
    among_answered = PolicyJudge(answered, *policies, ComparisonSettings("snips")).estimates[0]["quality"].value

    assert abs(estimate - among_answered * 2 / 3) < 0.03


def test_failed_requests_do_not_count_as_judged() -> None:
    logs = make_traffic(Scenario(exploration=0.5), 0).logs
    failed = np.arange(len(logs)) % 3 == 0
    logs = replace(
        logs,
        is_answered=~failed,
        reward=np.full(len(logs), np.nan),
        caller_reward=np.where(failed, 0.0, np.nan),
        caller_reward_std=np.where(failed, 0.0, np.nan),
        has_failed=failed,
    )
    judge = PolicyJudge(logs, GreedyPolicy("best_value"), GreedyPolicy("cheapest"), ComparisonSettings("snips"))

    judgement = judge.judgements()[0]

    assert judgement.diagnostics.n_judged == 0
    assert "quality" in judgement.refusals
