"""Evaluation policies agree with those that serve, and their specs are read or refused in one line."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.context import Preferences
from router.expectation import Expectation
from router.policies.base import Candidates, Policy
from router.policies.best_value import BestValue
from router.policies.cheapest import Cheapest
from router.policies.cheapest_above_bar import CheapestAboveBar
from router.policies.lowest_latency import LowestLatency
from router.policies.registry import policy_named
from training.off_policy.errors import PolicySpecError
from training.off_policy.evaluation_policies import EvaluationPolicy, GreedyPolicy, LoggedPolicy, MixedPolicy, OneLane
from training.off_policy.policy_specs import parse_policy, parse_rule
from training.off_policy.ranked_policy import RankedPolicy
from training.off_policy.synthetic import LANES, make_traffic
from training.off_policy.traffic import Scenario
from training.telemetry.logged_requests import LoggedRequests

LOGS = make_traffic(Scenario(n_requests=300), 3).logs


def with_wishes(seed: int) -> LoggedRequests:
    """Some callers state preferences; some lanes are not eligible."""
    rng = np.random.default_rng(seed)
    n, m = LOGS.quality.shape
    is_eligible = rng.random((n, m)) < 0.7
    is_eligible[:, 0] |= ~is_eligible.any(axis=1)
    has_wishes = rng.random(n) < 0.5
    return replace(
        LOGS,
        is_eligible=is_eligible,
        willingness_to_pay_usd=np.where(has_wishes, rng.uniform(0, 0.1, n), np.nan),
        quality_bar=np.where(has_wishes, rng.random(n), np.nan),
    )


@pytest.mark.parametrize(
    ("spec", "served"),
    [
        ("best_value", BestValue()),
        ("best_value:worth=0.002", BestValue(0.002)),
        ("cheapest", Cheapest()),
        ("cheapest_above_bar:bar=0.9", CheapestAboveBar(0.9)),
        ("lowest_latency", LowestLatency()),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_policy_chooses_as_the_one_that_serves(spec: str, served: Policy, seed: int) -> None:
    logs = with_wishes(seed)
    chosen = parse_policy(spec).probabilities(logs).argmax(axis=1)
    for row in range(len(logs)):
        columns = (
            logs.quality,
            logs.quality_std,
            logs.completion_tokens,
            logs.expected_cost_usd,
            logs.expected_latency_ms,
        )
        expectation = Expectation(*(values[row].astype(np.float64) for values in columns))
        wishes = [
            None if np.isnan(value[row]) else float(value[row])
            for value in (logs.quality_bar, logs.willingness_to_pay_usd)
        ]
        preferences = Preferences(quality_bar=wishes[0], willingness_to_pay_usd=wishes[1])
        ranking = served.rank(Candidates(logs.is_eligible[row], None, expectation, preferences))
        assert chosen[row] == ranking.order[0]


@pytest.mark.parametrize("name", ["best_value", "cheapest", "cheapest_above_bar", "lowest_latency"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_policy_that_ranks_request_by_request_chooses_as_the_rule_for_all_at_once(name: str, seed: int) -> None:
    logs = with_wishes(seed)
    quality = np.where(np.random.default_rng(seed).random(logs.quality.shape) < 0.1, np.nan, logs.quality)
    tiers = np.random.default_rng(seed).integers(0, 3, logs.quality.shape).astype(np.int32)
    logs = replace(logs, quality=quality.astype(np.float32), fallback_tier=tiers)
    costs = np.where(np.isnan(quality), np.nan, logs.expected_cost_usd)
    latencies = np.where(np.isnan(quality), np.nan, logs.expected_latency_ms).astype(np.float32)
    logs = replace(logs, expected_cost_usd=costs, expected_latency_ms=latencies)
    ranked = RankedPolicy(policy_named(name))
    assert (ranked.name, ranked.needs_text) == (name, False)
    np.testing.assert_array_equal(ranked.probabilities(logs), parse_policy(name).probabilities(logs))


@given(
    spec=st.sampled_from(
        ["logged", "lane:large/c", "best_value", "cheapest", "cheapest_above_bar", "best_quality", "lowest_latency"]
    ),
    epsilon=st.floats(0, 1),
    seed=st.integers(0, 50),
)
def test_probabilities_sum_to_one_and_are_zero_off_the_eligible_lanes(spec: str, epsilon: float, seed: int) -> None:
    logs = with_wishes(seed)
    possible = np.where(logs.is_eligible, logs.probability, 0)
    logs = replace(logs, probability=(possible / possible.sum(axis=1, keepdims=True)).astype(np.float32))
    probabilities = MixedPolicy(parse_policy(spec), epsilon).probabilities(logs)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (probabilities >= 0).all()
    assert not probabilities[~logs.is_eligible].any()


def test_lanes_without_a_belief_are_not_taken() -> None:
    quality = LOGS.quality.copy()
    quality[:, 3] = np.nan
    assert not GreedyPolicy("best_quality").probabilities(replace(LOGS, quality=quality))[:, 3].any()


def test_without_a_belief_about_any_lane_the_logged_policy_decides() -> None:
    unknown = replace(LOGS, quality=np.full_like(LOGS.quality, np.nan))
    np.testing.assert_allclose(GreedyPolicy("best_quality").probabilities(unknown), LOGS.probability)


def test_if_its_lane_cannot_answer_the_logged_policy_decides() -> None:
    is_eligible = LOGS.is_eligible.copy()
    is_eligible[0, 2] = False
    probabilities = OneLane(LANES[2]).probabilities(replace(LOGS, is_eligible=is_eligible))
    np.testing.assert_allclose(probabilities[0], LOGS.probability[0])
    assert (probabilities[1:, 2] == 1).all()


@pytest.mark.parametrize(
    ("spec", "policy"),
    [
        ("logged", LoggedPolicy()),
        ("lane:large/c", OneLane("large/c")),
        ("epsilon=0.1,logged", MixedPolicy(LoggedPolicy(), 0.1)),
        (
            "best_value:worth=0.02,latency=0.001",
            GreedyPolicy("best_value", 0.02, 0.7, 0.001, title="best_value:worth=0.02,latency=0.001"),
        ),
    ],
)
def test_specs_become_policies(spec: str, policy: EvaluationPolicy) -> None:
    assert parse_policy(spec) == policy
    assert parse_policy(spec).name == spec


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("greedy", "unknown policy 'greedy': use one of logged, lane:ID, best_value"),
        ("", "unknown policy ''"),
        ("lane:", "the lane is missing: write lane:provider/model"),
        (
            "near_best:share=0.9",
            "reference answers: write reference=DIR,near_best:share=0.9 with the bundle that logged",
        ),
        ("bundle=x,near_best:share=2", r"share is 2: give a number in 0\.\.1"),
        ("reference=x,best_value", "reference= is only for near_best"),
        ("reference=x,bundle=y,near_best", "reference= is only for near_best on the logged beliefs"),
        ("best_value:bar=0.5", "no setting 'bar': use one of worth, latency"),
        ("cheapest:worth=1", "leave the settings out"),
        ("best_value:worth=much", "worth is 'much': give a number of at least 0"),
        ("best_value:worth=nan", "give a number"),
        ("cheapest_above_bar:bar=2", r"bar is 2: give a number in 0\.\.1"),
        ("epsilon=0.1", "has to follow"),
        ("epsilon=3,logged", "epsilon is 3"),
        ("bundle=x,logged", "uses no bundle"),
    ],
)
def test_unknown_specs_are_refused_in_one_line(spec: str, complaint: str) -> None:
    with pytest.raises(PolicySpecError, match=complaint) as caught:
        parse_policy(spec)
    assert "\n" not in str(caught.value)


def test_bundles_are_judged_by_policies_that_choose_by_beliefs() -> None:
    assert parse_rule("cheapest_above_bar:bar=0.8").bar == 0.8
    with pytest.raises(PolicySpecError, match="bundles are judged by one of best_value"):
        parse_rule("lane:small/a")


def test_a_lane_that_the_logs_do_not_know_is_refused() -> None:
    with pytest.raises(PolicySpecError, match="no such lane: use one of small/a"):
        OneLane("small/z").probabilities(LOGS)
