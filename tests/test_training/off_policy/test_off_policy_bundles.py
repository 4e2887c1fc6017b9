"""Policies on another bundle's beliefs: they are the beliefs that it would have had when it served."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.catalogue import Row, catalogue_of
from fakes.derived_bundle import derive_bundle

from router.account_correction import (
    ACCOUNT_CORRECTIONS_FILE,
    AccountCorrection,
    AccountCorrections,
    LaneCoefficients,
    PromptSpace,
    hashed,
)
from router.bundle import load_bundle
from router.context import RouteContext
from router.expectation import Expectation, LaneState, expect_outcomes, shift_quality
from router.features import FEATURES_VERSION, extract_features
from router.lane import Lane, QualityPrior
from router.lane_table import LaneTable
from router.onnx_quality_model import OnnxQualityModel
from router.price_table import Price
from router.text_window import cut_to_window
from training.off_policy.bundle_beliefs import BundleBeliefs
from training.off_policy.comparison import ComparisonSettings, compare_policies
from training.off_policy.errors import CannotTellError
from training.off_policy.evaluation_policies import LoggedPolicy
from training.off_policy.policy_specs import parse_policy
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario
from training.telemetry.lane_book import LaneBook, LoggedLane
from training.telemetry.logged_requests import LoggedRequests

PRICE = Price(Decimal("0.25"), Decimal("1.25"), "test", date(2026, 11, 1))
LONG = "Write a function that sorts a list. " * 200


@pytest.fixture(scope="module")
def logs() -> LoggedRequests:
    """Requests with text, the first one of a long conversation; the bundle was trained on two of the lanes."""
    drawn = make_traffic(Scenario(n_requests=400, exploration=0.6), 0).logs
    prompts = np.array([f"What is {row} times {row + 1}?" for row in range(400)], np.object_)
    prompts[0] = cut_to_window(LONG)
    contexts = [RouteContext(cut_to_window(str(text)), len(str(text)), 20) for text in prompts]
    contexts[0] = RouteContext(cut_to_window(LONG), len(LONG), 1_800, n_turns=5)
    trained = load_bundle(SHIPPED_BUNDLE).trained_names
    return replace(
        drawn,
        trained_names=(trained[3], None, trained[7], "acme/unknown"),
        prompts=prompts,
        features=np.concatenate([extract_features(context) for context in contexts]),
        features_version=FEATURES_VERSION,
        prompt_tokens=np.array([context.prompt_tokens for context in contexts], np.float64),
    )


def served_belief(trained_name: str, context: RouteContext, vendor_model: str = "v/y") -> Expectation:
    """Return what the gateway believes of a lane of this model."""
    bundle = load_bundle(SHIPPED_BUNDLE)
    lane = Lane("x/y", "x", "y", vendor_model, "x", PRICE, trained_name=trained_name)
    table = LaneTable.build([lane], bundle.trained_names, bundle.catalogue)
    return expect_outcomes(table, OnnxQualityModel(bundle).predict(context), context, LaneState.unmeasured(table))


def test_a_bundle_believes_the_same_about_logged_text_as_when_it_serves(logs: LoggedRequests) -> None:
    believed = BundleBeliefs(SHIPPED_BUNDLE)(logs)
    trained = load_bundle(SHIPPED_BUNDLE).trained_names
    for row, context in (
        (0, RouteContext(cut_to_window(LONG), len(LONG), 1_800, n_turns=5)),
        (7, RouteContext("What is 7 times 8?", 18, 20)),
    ):
        for column, place in ((0, 3), (2, 7)):
            wanted = served_belief(trained[place], context)
            assert believed.quality[row, column] == pytest.approx(wanted.quality[0], rel=1e-5)
            assert believed.completion_tokens[row, column] == pytest.approx(wanted.completion_tokens[0], rel=1e-4)


def test_what_was_learned_online_on_another_bundle_is_left_out(logs: LoggedRequests) -> None:
    shifted = replace(logs, belief_shift=np.full(logs.quality.shape, 0.5, np.float32))
    believed = BundleBeliefs(SHIPPED_BUNDLE)(shifted)
    assert believed.belief_shift is not None
    assert believed.belief_shift[0].tolist() == [0, 0.5, 0, 0.5]


def test_a_bundle_keeps_logged_beliefs_and_shifts_of_requests_that_it_decided(logs: LoggedRequests) -> None:
    is_own = np.arange(400) < 150
    versions = np.where(is_own, load_bundle(SHIPPED_BUNDLE).version, "other+1")
    prompts = np.where(is_own, None, logs.prompts)
    shift = np.full(logs.quality.shape, 0.5, np.float32)
    believed = BundleBeliefs(SHIPPED_BUNDLE)(
        replace(logs, router_versions=versions, belief_shift=shift, prompts=prompts)
    )
    asked = BundleBeliefs(SHIPPED_BUNDLE)(logs)
    np.testing.assert_array_equal(believed.quality[is_own], logs.quality[is_own])
    np.testing.assert_array_equal(believed.expected_cost_usd[is_own], logs.expected_cost_usd[is_own])
    np.testing.assert_array_equal(believed.quality[~is_own], asked.quality[~is_own])
    assert believed.belief_shift is not None
    assert believed.belief_shift[:, 0].tolist() == np.where(is_own, 0.5, 0.0).tolist()


def test_account_corrections_in_a_bundle_count(logs: LoggedRequests, tmp_path: Path) -> None:
    folder = derive_bundle(tmp_path / "corrected")
    bundle = load_bundle(folder)
    space = PromptSpace.of(bundle.read_reference())
    correction = AccountCorrection(np.array([0.5, *[0.1] * space.directions.shape[1]]), {}, 100)
    content = AccountCorrections(bundle.version, space, {hashed("acme", bundle.version): correction}).to_bytes()
    before = BundleBeliefs(folder)(logs)
    (folder / ACCOUNT_CORRECTIONS_FILE).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][ACCOUNT_CORRECTIONS_FILE] = sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    after = BundleBeliefs(folder)(logs)
    is_corrected = logs.accounts == "acme"
    np.testing.assert_array_equal(after.quality[~is_corrected], before.quality[~is_corrected])
    table = LaneTable.build(
        [Lane("x/y", "x", "y", "v/y", "x", PRICE, trained_name=logs.trained_names[0])], bundle.trained_names
    )
    for row in np.flatnonzero(is_corrected)[1:4]:
        context = RouteContext(cut_to_window(str(logs.prompts[row])), len(str(logs.prompts[row])), 20)
        prediction = OnnxQualityModel(bundle).predict(context)
        state = replace(
            LaneState.unmeasured(table),
            account_shift=LaneCoefficients(space, correction.of_lanes(table)).shift(prediction.quality),
        )
        assert after.quality[row, 0] == pytest.approx(
            expect_outcomes(table, prediction, context, state).quality[0], rel=1e-5
        )


def test_a_lane_of_a_catalogue_model_is_believed_by_its_row(logs: LoggedRequests, tmp_path: Path) -> None:
    models = catalogue_of([Row("acme/unknown", 2.0, 0.5, 100, 1_000)])
    folder = derive_bundle(tmp_path / "listed", catalogue=models)
    book = LaneBook({logs.lane_ids[3]: LoggedLane(vendor_model="acme/unknown")})
    believed = BundleBeliefs(folder)(replace(logs, lane_book=book))
    chance = 1 / (1 + np.exp(-2 / np.sqrt(1 + np.pi / 8 * 0.25)))
    np.testing.assert_allclose(believed.quality[:, 3], chance, rtol=1e-5)
    np.testing.assert_allclose(believed.completion_tokens[:, 3], 1_100 * np.exp(0.125), rtol=1e-4)
    bundle = load_bundle(folder)
    lane = Lane("x/y", "x", "y", "v/y", "x", PRICE, trained_name=logs.trained_names[0])
    table = LaneTable.build([lane], bundle.trained_names, bundle.catalogue)
    context = RouteContext("What is 7 times 8?", 18, 20)
    wanted = expect_outcomes(table, OnnxQualityModel(bundle).predict(context), context, LaneState.unmeasured(table))
    assert believed.quality[7, 0] == pytest.approx(wanted.quality[0], rel=1e-5)


def test_lanes_that_a_bundle_does_not_know_keep_the_logged_beliefs(logs: LoggedRequests) -> None:
    believed = BundleBeliefs(SHIPPED_BUNDLE)(logs)
    np.testing.assert_array_equal(believed.quality[:, [1, 3]], logs.quality[:, [1, 3]])
    np.testing.assert_array_equal(believed.expected_cost_usd[:, [1, 3]], logs.expected_cost_usd[:, [1, 3]])


def test_a_lane_finds_its_model_by_the_vendors_name_that_a_retraining_uses(logs: LoggedRequests) -> None:
    vendor = load_bundle(SHIPPED_BUNDLE).trained_names[5]
    noted = replace(logs, lane_book=LaneBook({logs.lane_ids[3]: LoggedLane(vendor, "acme/unknown")}))
    believed = BundleBeliefs(SHIPPED_BUNDLE)(noted)
    wanted = served_belief(vendor, RouteContext("What is 7 times 8?", 18, 20), vendor)
    assert believed.quality[7, 3] == pytest.approx(wanted.quality[0], rel=1e-5)


def believed_by_prior(logs: LoggedRequests, lane: LoggedLane, shift: float = 0.0) -> LoggedRequests:
    """The belief about the last lane comes from its prior, as with another bundle, plus a shift learned online."""
    assert lane.ability is not None
    assert lane.ability_std is not None
    difficulty = np.random.default_rng(0).normal(0, 1, len(logs))
    quality = 1 / (1 + np.exp((difficulty - lane.ability) / np.sqrt(1 + np.pi / 8 * lane.ability_std**2)))
    quality, std = shift_quality(quality, quality * (1 - quality) * lane.ability_std, np.full(len(logs), shift))
    columns = logs.quality.copy(), logs.quality_std.copy()
    columns[0][:, 3], columns[1][:, 3] = quality, std
    book = LaneBook({logs.lane_ids[3]: lane})
    return replace(logs, quality=columns[0], quality_std=columns[1], lane_book=book)


PRIOR = LoggedLane("acme/new", None, 0.7, 0.8, 0.25, 1.25)


@pytest.mark.parametrize("shift", [0.0, 0.9])
def test_a_lane_with_a_prior_gets_the_belief_that_the_gateway_would_have(logs: LoggedRequests, shift: float) -> None:
    believed = BundleBeliefs(SHIPPED_BUNDLE)(believed_by_prior(logs, PRIOR, shift))
    bundle = load_bundle(SHIPPED_BUNDLE)
    served = OnnxQualityModel(bundle)
    lane = Lane("large/d", "large", "d", "acme/new", "large", PRICE, prior=QualityPrior(0.7, 0.8, "test"))
    table = LaneTable.build([lane], bundle.trained_names, bundle.catalogue)
    for row, context in (
        (0, RouteContext(cut_to_window(LONG), len(LONG), 1_800, 5)),
        (7, RouteContext("What is 7 times 8?", 18, 20)),
    ):
        wanted = expect_outcomes(table, served.predict(context), context, LaneState.unmeasured(table))
        assert believed.quality[row, 3] == pytest.approx(wanted.quality[0], rel=1e-5)
        assert believed.quality_std[row, 3] == pytest.approx(wanted.quality_std[0], rel=1e-5)
        assert believed.completion_tokens[row, 3] == pytest.approx(wanted.completion_tokens[0], rel=1e-4)


def test_a_calibrated_lane_keeps_the_logged_beliefs(logs: LoggedRequests) -> None:
    calibrated = replace(
        believed_by_prior(logs, PRIOR), lane_book=LaneBook({logs.lane_ids[3]: replace(PRIOR, ability_std=1.2)})
    )
    believed = BundleBeliefs(SHIPPED_BUNDLE)(calibrated)
    np.testing.assert_array_equal(believed.quality[:, 3], calibrated.quality[:, 3])


def test_expected_lengths_are_cut_to_the_callers_limit(logs: LoggedRequests) -> None:
    limits = np.where(np.arange(400) % 2 == 0, 5.0, np.nan)
    free, cut = (BundleBeliefs(SHIPPED_BUNDLE)(replace(logs, max_output_tokens=limit)) for limit in (None, limits))
    assert (cut.completion_tokens[::2][:, [0, 2]] == 5).all()
    np.testing.assert_array_equal(cut.completion_tokens[1::2], free.completion_tokens[1::2])


def test_expected_costs_move_with_the_lengths_at_the_lanes_rates(logs: LoggedRequests) -> None:
    rates = np.array([0.4, 10.0]) / 1e6
    cost = logs.expected_cost_usd.copy()
    cost[:, [0, 2]] = logs.prompt_tokens[:, None] * 1e-7 + logs.completion_tokens[:, [0, 2]] * rates
    believed = BundleBeliefs(SHIPPED_BUNDLE)(replace(logs, expected_cost_usd=cost))
    wanted = logs.prompt_tokens[:, None] * 1e-7 + believed.completion_tokens[:, [0, 2]] * rates
    np.testing.assert_allclose(believed.expected_cost_usd[:, [0, 2]], wanted, rtol=1e-2, atol=1e-7)


def test_both_policies_are_judged_where_text_was_kept(logs: LoggedRequests) -> None:
    prompts = logs.prompts.copy()
    prompts[:100] = None
    policy = parse_policy(f"bundle={SHIPPED_BUNDLE},best_value:worth=0.05")
    comparison = compare_policies(
        replace(logs, prompts=prompts), policy, LoggedPolicy(), ComparisonSettings(reward_model="beliefs")
    )
    assert comparison.first.diagnostics.n_requests == 300
    assert comparison.notes == ("judged on the 300 of 400 requests whose text was kept",)
    assert comparison.first.name.startswith("bundle=llmdeal-base-2+")


def test_a_bundle_that_knows_none_of_the_lanes_cannot_be_judged(logs: LoggedRequests) -> None:
    with pytest.raises(CannotTellError, match="trained on none"):
        BundleBeliefs(SHIPPED_BUNDLE)(replace(logs, trained_names=(None,) * 4))
