"""The gate lets a better challenger pass, and says in words why another one does not pass."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest

from router.features import FEATURE_NAMES, FEATURES_VERSION
from router.verdict import Verdict
from training.off_policy.comparison import ComparisonSettings
from training.off_policy.evaluation_policies import EvaluationPolicy, GreedyPolicy
from training.off_policy.request_kinds import kinds_of
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario, Traffic, with_beliefs
from training.promotion.gate import GateSettings, judge_challenger
from training.telemetry.logged_requests import LoggedRequests

NIGHT = datetime(2026, 11, 26, 3, tzinfo=UTC)
WORTH_USD = 0.03
SETTINGS = GateSettings(
    cost_margin=1.0, latency_margin=1.0, comparison=ComparisonSettings(value_usd=WORTH_USD, reward_model="beliefs")
)


@cache
def traffic() -> Traffic:
    """Traffic of a champion with poor beliefs; every eighth request comes from a small account."""
    drawn = make_traffic(Scenario(n_requests=12_000, exploration=0.5, belief_noise=2.5), 5)
    small = np.arange(12_000) % 8 == 0
    return replace(drawn, logs=replace(drawn.logs, accounts=np.where(small, "umbrella", "acme")))


def believing(logs: LoggedRequests) -> EvaluationPolicy:
    return GreedyPolicy("best_value", WORTH_USD, beliefs=lambda asked: logs, title="challenger")


CHAMPION = GreedyPolicy("best_value", WORTH_USD)


def judge(
    challenger: EvaluationPolicy, settings: GateSettings = SETTINGS, logs: LoggedRequests | None = None
) -> Verdict:
    asked = traffic().logs if logs is None else logs
    return judge_challenger(asked, challenger, CHAMPION, ("night-2+b", "night-1+a"), NIGHT, settings)


def test_a_better_challenger_passes() -> None:
    verdict = judge(believing(with_beliefs(traffic(), 0.2, 1)))
    assert verdict.is_better, verdict.reasons
    assert verdict.utility_gain_usd is not None
    assert verdict.utility_gain_usd.low > 0
    assert verdict.reasons[0].startswith("Utility rises by +0.")
    assert {guard.name for guard in verdict.guards} >= {
        "quality",
        "cost",
        "latency",
        "quality, account acme",
        "quality, account umbrella",
    }
    assert all(guard.outcome == "kept" for guard in verdict.guards)
    assert (verdict.challenger_version, verdict.champion_version, verdict.n_requests) == (
        "night-2+b",
        "night-1+a",
        12_000,
    )


def test_a_worse_challenger_fails() -> None:
    verdict = judge(believing(with_beliefs(traffic(), 0.2, 1, bias=-6.0)))
    assert not verdict.is_better
    assert "the lower end has to be above 0" in verdict.reasons[0]


def test_a_challenger_that_is_the_champion_fails_because_it_gains_nothing() -> None:
    verdict = judge(believing(traffic().logs))
    assert not verdict.is_better
    assert "+0.000000 (+0.000000 to +0.000000)" in verdict.reasons[0]


def test_a_challenger_that_is_better_on_average_and_worse_for_one_account_fails() -> None:
    better = with_beliefs(traffic(), 0.2, 1)
    worst = np.broadcast_to(np.array([0.99, 0.0, 0.0, 0.0], np.float32), better.quality.shape)
    harmed = replace(better, quality=np.where((better.accounts == "umbrella")[:, None], worst, better.quality))
    verdict = judge(believing(harmed))
    assert verdict.utility_gain_usd is not None
    assert verdict.utility_gain_usd.low > 0
    assert not verdict.is_better
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith("Quality, account umbrella changes by -0.")
    assert [guard.name for guard in verdict.guards if guard.outcome == "broken"] == ["quality, account umbrella"]


def test_a_margin_of_cost_stops_a_challenger_that_pays_too_much_for_quality() -> None:
    always_best = GreedyPolicy("best_quality", beliefs=lambda logs: with_beliefs(traffic(), 0.0, 1), title="challenger")
    verdict = judge(always_best, replace(SETTINGS, cost_margin=0.05))
    assert [guard.name for guard in verdict.guards if guard.outcome == "broken"] == ["cost"]
    assert "would have been allowed" in verdict.reasons[-1]


@pytest.mark.parametrize("n", [0, 150])
def test_too_few_logs_fail_and_say_so(n: int) -> None:
    logs = traffic().logs.rows(np.arange(n))
    verdict = judge(believing(with_beliefs(traffic(), 0.2, 1).rows(np.arange(n))), logs=logs)
    assert not verdict.is_better
    assert verdict.utility_gain_usd is None
    assert verdict.reasons[0].startswith("The logs cannot tell")


def test_logs_without_exploration_fail_and_say_so() -> None:
    greedy = make_traffic(Scenario(n_requests=3_000, exploration=0.0), 1)
    verdict = judge(believing(with_beliefs(greedy, 0.2, 1)), logs=greedy.logs)
    assert not verdict.is_better
    assert "log with exploration on" in verdict.reasons[0]


def test_a_guard_over_all_requests_that_the_logs_cannot_tell_fails() -> None:
    silent = replace(traffic().logs, latency_ms=np.full(12_000, np.nan))
    verdict = judge(believing(replace(with_beliefs(traffic(), 0.2, 1), latency_ms=silent.latency_ms)), logs=silent)
    assert not verdict.is_better
    assert verdict.reasons == ("The logs cannot tell how latency changes: the latency of too few requests was logged.",)


def test_groups_too_small_to_tell_are_named_and_do_not_stop() -> None:
    logs = replace(traffic().logs, accounts=np.where(np.arange(12_000) < 30, "tiny", "acme"))
    verdict = judge(believing(with_beliefs(traffic(), 0.2, 1)), logs=logs)
    assert verdict.is_better, verdict.reasons
    assert [guard.name for guard in verdict.guards if guard.outcome == "unknown"] == ["quality, account tiny"]


def test_of_many_small_groups_only_some_are_named() -> None:
    names = np.char.add("tiny ", (np.arange(12_000) % 400).astype(np.str_))
    verdict = judge(believing(with_beliefs(traffic(), 0.2, 1)), logs=replace(traffic().logs, accounts=names))
    assert verdict.is_better, verdict.reasons
    assert len(verdict.guards) == 3 + 20 + 1
    assert verdict.guards[-1].name == "quality, 380 more groups"


def test_kinds_follow_from_the_features_alone() -> None:
    rows = np.zeros((5, len(FEATURE_NAMES)), np.float32)
    for row, (name, value) in enumerate({"backticks": 6, "dollars": 8, "turns": 2, "characters": 9_000}.items()):
        rows[row, FEATURE_NAMES.index(f"log_{name}")] = np.log1p(value)
    five = traffic().logs.rows(np.arange(5))
    logs = replace(five, features=rows, features_version=FEATURES_VERSION)
    assert kinds_of(logs).tolist() == ["code", "maths", "conversation", "long", "short"]
    assert set(kinds_of(five)) == {"unknown"}
