"""Every policy that decides can be followed on its own logs: off-policy it gets the probabilities of its draw."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.derived_bundle import derive_bundle
from telemetry_strategies import NOON, attempt_row

from router.bar import Bar
from router.bundle import load_bundle
from router.context import Constraints, Preferences, RouteContext
from router.decision import Decision, decide
from router.expectation import LaneState
from router.features import FEATURES_VERSION
from router.lane import Lane, QualityPrior
from router.lane_table import LaneTable
from router.onnx_quality_model import OnnxQualityModel
from router.policies.base import Policy
from router.policies.kind import PolicyKind
from router.policies.near_best import NearBest
from router.policies.registry import DEFAULT_POLICIES, POLICIES
from router.price_table import Price
from serve.storage.database import open_database
from serve.telemetry.attempt_recorder import candidate_table
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.export.export import export_telemetry
from serve.telemetry.lane_log import lane_row
from serve.telemetry.priced_lane_repository import PricedLaneRepository
from training.off_policy.errors import CannotTellError
from training.off_policy.policy_specs import parse_policy
from training.telemetry.logged_requests import LoggedRequests
from training.telemetry.reader import read_logs

# Candidates are made by hand here, without rows of catalogue models.
PLAIN_BUNDLE = derive_bundle(Path(tempfile.mkdtemp()) / "plain")
QUALITY_MODEL = OnnxQualityModel(load_bundle(PLAIN_BUNDLE))
N_REQUESTS = 48
PRICES = ("2.5", "0.6", "0.1", "1.2", "0.3")
PRIOR = QualityPrior(0.6, 0.7, "test")


def lane(number: int, price: str, **changes: Any) -> Lane:
    """A lane of a model that the bundle was trained on; the last one is judged by its prior."""
    names = QUALITY_MODEL.trained_names
    trained = None if number == len(PRICES) - 1 else names[(number * 11) % len(names)]
    rates = Price(Decimal(price) / 4, Decimal(price), "test", date(2026, 11, 1))
    plain = Lane(
        f"p{number}/m",
        f"p{number}",
        "m",
        f"vendor/m{number}",
        f"p{number}",
        rates,
        context_tokens=100_000,
        trained_name=trained,
    )
    return replace(plain, prior=None if trained else PRIOR, typical_tokens_per_s=20.0 + 17 * number, **changes)


LANES = [lane(number, price) for number, price in enumerate(PRICES)]
NUMBERS = {"best_value": 0.004, "cheapest_above_bar": 0.6, "near_best": 0.9}
"""Numbers other than the policies' defaults."""


def followed(kind: PolicyKind) -> tuple[Policy, str]:
    """The policy that decides, and the words that follow it."""
    reference = f"reference={PLAIN_BUNDLE}," if kind.needs_reference_answers else ""
    if kind.number is None:
        return kind.policy(), reference + kind.name
    number = NUMBERS.get(kind.name, kind.number.default)
    return kind.policy(number), f"{reference}{kind.name}:{kind.number.spec_word}={number}"


FOLLOWED = {name: followed(kind) for name, kind in DEFAULT_POLICIES.items()}


def wishes(policy: str, rng: np.random.Generator) -> Preferences:
    """Wishes of some callers, in the form that a gateway takes for this policy."""
    if rng.random() < 0.5:
        return Preferences()
    if policy == "near_best":
        return Preferences(quality_of_best=float(rng.choice([0.7, 0.8, 0.97])))
    if policy == "best_value":
        return Preferences(willingness_to_pay_usd=float(rng.uniform(0, 0.05)))
    return Preferences(quality_bar=float(rng.uniform(0.3, 0.9)))


def decided(
    policy: Policy,
    table: LaneTable,
    preferences_of: Callable[[str, np.random.Generator], Preferences] = wishes,
) -> list[tuple[RouteContext, Preferences, Decision]]:
    """Decide requests of all kinds, each with some lanes left out."""
    rng = np.random.default_rng(5)
    bar = Bar(table, load_bundle(PLAIN_BUNDLE).read_reference)
    state = replace(LaneState.unmeasured(table), quality_shift=np.linspace(-0.4, 0.6, len(table)))
    decisions = []
    for number in range(N_REQUESTS):
        context = RouteContext.from_prompt(
            f"Explain step {number} of a proof that there are infinitely many primes. " * (1 + number % 9)
        )
        left_out = frozenset(f"p{place}" for place in np.flatnonzero(rng.random(len(table)) < 0.3)[: len(table) - 1])
        preferences = preferences_of(policy.name, rng)
        constraints = Constraints(ignored_providers=left_out)
        prediction = QUALITY_MODEL.predict(context)
        decision = decide(table, context, prediction, state, policy, rng, constraints, preferences, bar)
        decisions.append((context, preferences, decision))
    return decisions


def logged(
    folder: Path, lanes: Sequence[Lane], decisions: Sequence[tuple[RouteContext, Preferences, Decision]], version: str
) -> LoggedRequests:
    """Export these decisions as the gateway does, and read them."""
    engine = open_database(str(folder / "telemetry.db"))
    rows = [
        attempt_row(
            number,
            prompt_text=context.text,
            features_version=FEATURES_VERSION,
            candidates=candidate_table(decision),
            lane_id=decision.chosen.lane_id,
            propensity=decision.propensity,
            policy=decision.policy_name,
            router_version=version,
            price_snapshot_id="today",
            quality_bar=preferences.quality_bar,
            willingness_to_pay_usd=preferences.willingness_to_pay_usd,
            quality_of_best=preferences.quality_of_best,
            prompt_tokens=context.prompt_tokens,
        )
        for number, (context, preferences, decision) in enumerate(decisions)
    ]
    AttemptRepository(engine).insert_many(rows)
    PricedLaneRepository(engine).put([lane_row(lane, "today", datetime(2026, 11, 1, tzinfo=UTC)) for lane in lanes])
    export_telemetry(engine, NOON - timedelta(days=1), NOON + timedelta(days=1), folder / "out")
    engine.dispose()
    return read_logs(folder / "out")


def test_every_policy_that_ranks_is_followed() -> None:
    assert set(FOLLOWED) == set(POLICIES) - {"pinned"}  # a pin is a caller's own choice, and not judged


@pytest.mark.parametrize("name", list(FOLLOWED))
def test_a_policy_is_given_the_probabilities_that_it_drew_with(name: str, tmp_path: Path) -> None:
    policy, spec = FOLLOWED[name]
    decisions = decided(policy, LaneTable.build(LANES, QUALITY_MODEL.trained_names))
    logs = logged(tmp_path, LANES, decisions, QUALITY_MODEL.version)
    np.testing.assert_array_equal(parse_policy(spec).probabilities(logs), logs.probability)
    assert len(np.unique(logs.chosen)) > 1


def soft_wishes(policy: str, rng: np.random.Generator) -> Preferences:
    """Soft preferences of callers, in addition to their wishes for the policy."""
    soft: list[dict[str, Any]] = [
        {},
        {"preferred_providers": ("p3", "p0")},
        {"preferred_max_latency_ms": 9_000.0, "preferred_min_tokens_per_s": 40.0},
        {"lane_order": {"p1/m": 0, "p4/m": 1}},
    ]
    return replace(wishes(policy, rng), **soft[int(rng.integers(len(soft)))])


@pytest.mark.parametrize("name", list(FOLLOWED))
def test_lanes_of_a_later_tier_come_after_the_others_as_they_did(name: str, tmp_path: Path) -> None:
    policy, spec = FOLLOWED[name]
    lanes = [replace(each, is_reserve=number in (1, 2)) for number, each in enumerate(LANES)]
    decisions = decided(policy, LaneTable.build(lanes, QUALITY_MODEL.trained_names), soft_wishes)
    logs = logged(tmp_path, lanes, decisions, QUALITY_MODEL.version)
    evaluated = parse_policy(spec)
    np.testing.assert_array_equal(evaluated.probabilities(logs), logs.probability)
    assert (evaluated.probabilities(replace(logs, fallback_tier=None)) != logs.probability).any()


def near_best_logs(folder: Path, version: str = QUALITY_MODEL.version) -> LoggedRequests:
    decisions = decided(NearBest(0.9), LaneTable.build(LANES, QUALITY_MODEL.trained_names))
    return logged(folder, LANES, decisions, version)


def test_near_best_is_followed_by_the_bundle_itself_and_by_another_from_the_text(tmp_path: Path) -> None:
    followed_policy, logs = parse_policy(f"bundle={PLAIN_BUNDLE},near_best:share=0.9"), near_best_logs(tmp_path)
    assert followed_policy.needs_text
    np.testing.assert_array_equal(followed_policy.probabilities(logs), logs.probability)
    asked = followed_policy.probabilities(replace(logs, router_versions=np.full(len(logs), "other+1")))
    np.testing.assert_allclose(asked.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda logs: replace(logs, router_versions=np.full(len(logs), "other+1")),
            "48 of 48 requests were not decided by plain",
        ),
        (lambda logs: replace(logs, lane_book=None), "the logs do not hold the prices of p"),
        (
            lambda logs: replace(logs, quality_std=logs.quality_std * 1.3),
            "the belief about p4/m comes from graded answers",
        ),
    ],
)
def test_near_best_is_refused_where_the_logs_do_not_hold_its_bar(
    change: Callable[[LoggedRequests], LoggedRequests], complaint: str, tmp_path: Path
) -> None:
    policy = parse_policy(f"reference={PLAIN_BUNDLE},near_best")
    with pytest.raises(CannotTellError, match=complaint):
        policy.probabilities(change(near_best_logs(tmp_path)))
