"""Policies by another bundle's beliefs: what it believes is what it would have believed when it served."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from router.bundle import load_bundle
from router.context import RouteContext
from router.features import FEATURES_VERSION, extract_features
from router.onnx_quality_model import OnnxQualityModel
from router.text_window import cut_to_window
from training.logged_requests import LoggedRequests
from training.off_policy.bundle_beliefs import BundleBeliefs
from training.off_policy.comparison import ComparisonSettings, compare_policies
from training.off_policy.errors import CannotTellError
from training.off_policy.evaluation_policies import LoggedPolicy
from training.off_policy.policy_specs import parse_policy
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario

BUNDLE = Path(__file__).parents[2] / "models" / "llmdeal-base-1"
LONG = "Write a function that sorts a list. " * 200


@pytest.fixture(scope="module")
def logs() -> LoggedRequests:
    """Requests with text, the first a long conversation, over lanes of which the bundle knows two."""
    made = make_traffic(Scenario(n_requests=400, exploration=0.6), 0).logs
    prompts = np.array([f"What is {row} times {row + 1}?" for row in range(400)], np.object_)
    prompts[0] = cut_to_window(LONG)
    contexts = [RouteContext(cut_to_window(str(text)), len(str(text)), 20) for text in prompts]
    contexts[0] = RouteContext(cut_to_window(LONG), len(LONG), 1_800, n_turns=5)
    known = load_bundle(BUNDLE).trained_names
    return replace(
        made,
        trained_names=(known[3], None, known[7], "acme/unknown"),
        prompts=prompts,
        features=np.concatenate([extract_features(context) for context in contexts]),
        features_version=FEATURES_VERSION,
        prompt_tokens=np.array([context.prompt_tokens for context in contexts], np.float64),
    )


def test_a_bundle_believes_of_logged_text_what_it_would_have_served(logs: LoggedRequests) -> None:
    found = BundleBeliefs(BUNDLE)(logs)
    served = OnnxQualityModel(load_bundle(BUNDLE))
    for row, context in (
        (0, RouteContext(cut_to_window(LONG), len(LONG), 1_800, n_turns=5)),
        (7, RouteContext("What is 7 times 8?", 18, 20)),
    ):
        wanted = served.predict(context)
        np.testing.assert_allclose(found.quality[row, [0, 2]], wanted.quality[[3, 7]], rtol=1e-5)
        np.testing.assert_allclose(found.completion_tokens[row, [0, 2]], wanted.completion_tokens[[3, 7]], rtol=1e-5)


def test_what_was_learned_online_of_another_bundle_is_not_carried_over(logs: LoggedRequests) -> None:
    shifted = replace(logs, belief_shift=np.full(logs.quality.shape, 0.5, np.float32))
    found = BundleBeliefs(BUNDLE)(shifted)
    assert found.belief_shift is not None
    assert found.belief_shift[0].tolist() == [0, 0.5, 0, 0.5]


def test_lanes_that_a_bundle_does_not_know_keep_what_was_logged(logs: LoggedRequests) -> None:
    found = BundleBeliefs(BUNDLE)(logs)
    np.testing.assert_array_equal(found.quality[:, [1, 3]], logs.quality[:, [1, 3]])
    np.testing.assert_array_equal(found.expected_cost_usd[:, [1, 3]], logs.expected_cost_usd[:, [1, 3]])


def test_expected_costs_move_with_the_lengths_at_the_lanes_rates(logs: LoggedRequests) -> None:
    rates = np.array([0.4, 10.0]) / 1e6
    cost = logs.expected_cost_usd.copy()
    cost[:, [0, 2]] = logs.prompt_tokens[:, None] * 1e-7 + logs.completion_tokens[:, [0, 2]] * rates
    found = BundleBeliefs(BUNDLE)(replace(logs, expected_cost_usd=cost))
    wanted = logs.prompt_tokens[:, None] * 1e-7 + found.completion_tokens[:, [0, 2]] * rates
    np.testing.assert_allclose(found.expected_cost_usd[:, [0, 2]], wanted, rtol=1e-2, atol=1e-7)


def test_both_policies_are_judged_where_text_was_kept(logs: LoggedRequests) -> None:
    prompts = logs.prompts.copy()
    prompts[:100] = None
    policy = parse_policy(f"bundle={BUNDLE},best_value:worth=0.05")
    found = compare_policies(replace(logs, prompts=prompts), policy, LoggedPolicy(), ComparisonSettings(reward_model="beliefs"))
    assert found.first.diagnostics.n_requests == 300
    assert found.notes == ("judged on the 300 of 400 requests whose text was kept",)
    assert found.first.name.startswith("bundle=llmdeal-base-1+")


def test_a_bundle_that_knows_none_of_the_lanes_cannot_be_judged(logs: LoggedRequests) -> None:
    with pytest.raises(CannotTellError, match="trained on none"):
        BundleBeliefs(BUNDLE)(replace(logs, trained_names=(None,) * 4))
