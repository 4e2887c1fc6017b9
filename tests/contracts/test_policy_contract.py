"""What every policy must keep, whatever it prefers. New policies are found by the registry."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import TRAINED_NAMES, contexts, lane_lists, predictions

from router.context import Preferences, RouteContext
from router.expectation import LaneState, expect_outcomes
from router.lane import Lane
from router.lane_table import LaneTable
from router.policies import base
from router.policies.base import Candidates, Policy
from router.policies.exploring import ExplorationTerms, Exploring
from router.policies.kind import PolicyKind
from router.policies.registry import POLICIES, policy_named
from router.quality_model import Prediction
from serve.dialects.routing_fields import RouteOptions
from serve.settings import Settings

bars = st.none() | st.floats(0, 1)
TERMS = ExplorationTerms(share=0.3, quality_bar=0.2, most_lanes=3, willingness_to_pay_usd=0.01)
WRAPPED: dict[str, Callable[[Policy], Policy]] = {
    "alone": lambda policy: policy,
    "exploring": lambda policy: Exploring(policy, TERMS, left_nusd=10**12),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=list(WRAPPED))
@pytest.mark.parametrize("name", sorted(POLICIES))
@given(lanes=lane_lists(), prediction=predictions(), context=contexts(), bar=bars, data=st.data())
def test_a_policy_ranks_the_eligible_lanes_and_nothing_else(
    wrap: Callable[[Policy], Policy],
    name: str,
    lanes: list[Lane],
    prediction: Prediction,
    context: RouteContext,
    bar: float | None,
    data: st.DataObject,
) -> None:
    table = LaneTable.build(lanes, TRAINED_NAMES)
    eligible = np.array(data.draw(st.lists(st.booleans(), min_size=len(lanes), max_size=len(lanes)).filter(any)))
    places = data.draw(st.none() | st.lists(st.integers(0, 2), min_size=len(lanes), max_size=len(lanes)))
    fallback_tier = None if places is None else np.array(places)
    expectation = expect_outcomes(table, prediction, context, LaneState.unmeasured(table))
    candidates = Candidates(eligible, fallback_tier, expectation, Preferences(quality_bar=bar))
    ranking = wrap(policy_named(name)).rank(candidates)
    again = wrap(policy_named(name)).rank(candidates)
    assert sorted(ranking.order.tolist()) == np.flatnonzero(eligible).tolist()
    assert ranking.probabilities.shape == (len(lanes),)
    assert ranking.probabilities.sum() == pytest.approx(1)
    assert (ranking.probabilities >= 0).all()
    assert (ranking.probabilities[~eligible] == 0).all()
    assert fallback_tier is None or fallback_tier[ranking.order].tolist() == sorted(fallback_tier[eligible])
    assert (again.order == ranking.order).all()
    assert (again.probabilities == ranking.probabilities).all()


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_policy_is_registered_under_its_own_name(name: str) -> None:
    assert policy_named(name).name == POLICIES[name].name == name


def test_every_policy_file_is_registered() -> None:
    files = {path.stem for path in Path(base.__file__).parent.glob("*.py")}
    assert set(POLICIES) == files - {"__init__", "base", "exploring", "kind", "registry"}


@pytest.mark.parametrize("kind", POLICIES.values(), ids=list(POLICIES))
def test_a_policy_is_described(kind: PolicyKind) -> None:
    assert kind.help.endswith(".")
    assert kind.reasons
    assert kind.route_field is None or kind.route_field in RouteOptions.__struct_fields__
    if kind.number is not None:
        assert 0 <= kind.number.default <= kind.number.largest
        assert getattr(Settings(), kind.number.setting) == kind.number.default
