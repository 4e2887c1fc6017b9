"""Exploration around a policy: exact probabilities, only where it is worth it, never beyond what is left."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import TRAINED_NAMES, contexts, lane_lists, predictions

from router.context import NO_CONSTRAINTS, NO_PREFERENCES, Preferences, RouteContext
from router.decision import Decision, decide
from router.errors import NoEligibleLaneError
from router.expectation import LaneState, expect_outcomes
from router.lane import Lane
from router.lane_table import LaneTable
from router.policies.base import Candidates, Policy
from router.policies.best_value import BEST_QUALITY_PER_DOLLAR, BestValue
from router.policies.exploring import ExplorationTerms, Exploring
from router.policies.registry import POLICIES, policy_named
from router.price_table import Price
from router.quality_model import Prediction
from router.reason import EXPLORED

TERMS = ExplorationTerms(share=0.2, quality_bar=0.5, most_lanes=2, willingness_to_pay_usd=0.01)
CONTEXT = RouteContext("a prompt", 8, 100)
PLENTY = 10**12


def lane(name: str, rate: str, trained_name: str) -> Lane:
    price = Price(Decimal(rate), Decimal(rate), "a test", date(2026, 11, 1), cached_input_usd_per_mtok=Decimal("0.01"))
    return Lane(f"p/{name}", "p", name, f"vendor/{name}", "p", price, context_tokens=100_000, trained_name=trained_name)


LANES = [lane("one", "1", "alpha"), lane("two", "1", "beta"), lane("three", "1", "gamma")]
TABLE = LaneTable.build(LANES, TRAINED_NAMES)


def believed(*quality: float, std: tuple[float, ...] = (0.1, 0.1, 0.1)) -> Prediction:
    hundred = np.full(3, 100, np.float32)
    return Prediction(
        np.array(quality, np.float32), np.array(std, np.float32), hundred, 0.0, 100.0, np.zeros(1, np.float32)
    )


def exploring(terms: ExplorationTerms = TERMS, left_nusd: int = PLENTY, base: Policy | None = None) -> Exploring:
    return Exploring(base or BestValue(), terms, left_nusd)


def decided(prediction: Prediction, policy: Policy, seed: int = 0, **state: np.ndarray) -> Decision:
    lane_state = replace(LaneState.unmeasured(TABLE), **state)  # type: ignore[arg-type]
    return decide(
        TABLE, CONTEXT, prediction, lane_state, policy, np.random.default_rng(seed), NO_CONSTRAINTS, NO_PREFERENCES
    )


def test_the_share_goes_to_other_lanes_in_proportion_to_how_uncertain_they_are() -> None:
    decision = decided(believed(0.9, 0.85, 0.85, std=(0.1, 0.1, 0.3)), exploring())
    assert decision.probabilities.tolist() == pytest.approx([0.8, 0.2 * 0.25, 0.2 * 0.75])


def test_a_belief_that_sounds_sure_is_still_doubted() -> None:
    decision = decided(believed(0.9, 0.85, 0.85, std=(0.0, 0.0, 0.05)), exploring())
    assert decision.probabilities.tolist() == pytest.approx([0.8, 0.1, 0.1])


def test_the_price_is_the_utility_given_up_and_never_less_than_the_extra_money() -> None:
    expensive = LaneTable.build([LANES[0], lane("two", "2", "beta"), LANES[2]], TRAINED_NAMES)
    prediction = believed(0.9, 0.9005, 0.8, std=(0.2, 0.2, 0.2))
    unmeasured = LaneState.unmeasured(expensive)
    decision = decide(
        expensive,
        CONTEXT,
        prediction,
        unmeasured,
        exploring(),
        np.random.default_rng(0),
        NO_CONSTRAINTS,
        NO_PREFERENCES,
    )
    assert decision.exploration_prices_usd is not None
    assert decision.exploration_prices_usd.tolist() == pytest.approx([0, 200e-6, 0.01 * 0.1], rel=1e-4)


def test_the_discount_of_a_warm_cache_that_would_be_lost_is_part_of_the_price() -> None:
    warm = decided(believed(0.9, 0.9, 0.9), exploring(), cached_tokens=np.array([100.0, 0, 0]))
    assert warm.exploration_prices_usd is not None
    assert warm.exploration_prices_usd.tolist() == pytest.approx([0, 99e-6, 99e-6])


def test_a_conversation_stays_where_its_warm_cache_is_worth_more_than_a_try() -> None:
    context = replace(CONTEXT, prompt_tokens=20_000)
    warm = replace(LaneState.unmeasured(TABLE), cached_tokens=np.array([19_000.0, 0, 0]))
    rng = np.random.default_rng(0)
    decision = decide(TABLE, context, believed(0.9, 0.9, 0.9), warm, exploring(), rng, NO_CONSTRAINTS, NO_PREFERENCES)
    assert decision.propensity == 1


@pytest.mark.parametrize(
    "prediction",
    [believed(0.9, 0.49, 0.45, std=(0.1, 0.9, 0.9)), believed(0.95, 0.6, 0.6)],
    ids=["below the bar", "surely worse"],
)
def test_a_lane_that_is_not_worth_a_try_is_never_drawn(prediction: Prediction) -> None:
    decision = decided(prediction, exploring())
    assert decision.probabilities.tolist() == [1, 0, 0]
    assert decision.exploration_prices_usd is None


def test_the_callers_own_bar_wins() -> None:
    expectation = expect_outcomes(TABLE, believed(0.9, 0.85, 0.8), CONTEXT, LaneState.unmeasured(TABLE))
    strict = Candidates(np.ones(3, np.bool_), None, expectation, Preferences(quality_bar=0.82))
    assert exploring().rank(strict).probabilities.tolist() == pytest.approx([0.8, 0.2, 0])
    lax = Candidates(np.ones(3, np.bool_), None, expectation, Preferences(quality_bar=0.1))
    picky = exploring(replace(TERMS, quality_bar=0.99))
    assert picky.rank(lax).probabilities.tolist() == pytest.approx([0.8, 0.1, 0.1])


def test_a_lane_that_a_preference_puts_back_is_not_tried() -> None:
    expectation = expect_outcomes(TABLE, believed(0.9, 0.85, 0.85), CONTEXT, LaneState.unmeasured(TABLE))
    candidates = Candidates(np.ones(3, np.bool_), np.array([0, 1, 0]), expectation, NO_PREFERENCES)
    assert exploring().rank(candidates).probabilities.tolist() == pytest.approx([0.8, 0, 0.2])


def test_only_lanes_whose_price_fits_into_what_is_left_are_tried() -> None:
    prediction = believed(0.9, 0.89, 0.85)  # prices of 0.1 and 0.5 thousandths of a dollar
    assert decided(prediction, exploring(left_nusd=300_000)).probabilities.tolist() == pytest.approx([0.8, 0.2, 0])
    assert decided(prediction, exploring(left_nusd=50_000)).probabilities.tolist() == [1, 0, 0]
    assert decided(prediction, exploring(left_nusd=0)).probabilities.tolist() == [1, 0, 0]


def test_what_is_drawn_follows_the_logged_probabilities_and_says_explored() -> None:
    drawn = [decided(believed(0.9, 0.85, 0.85), exploring(), seed) for seed in range(2_000)]
    shares = np.bincount([decision.order[0] for decision in drawn], minlength=3) / len(drawn)
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    assert {(decision.order[0], decision.reason) for decision in drawn} == {
        (0, BEST_QUALITY_PER_DOLLAR),
        (1, EXPLORED),
        (2, EXPLORED),
    }
    assert all(decision.order[1] == 0 for decision in drawn if decision.reason is EXPLORED)


@given(
    lanes=lane_lists(),
    prediction=predictions(),
    context=contexts(),
    bar=st.none() | st.floats(0, 1),
    share=st.floats(0.001, 0.5),
    left_nusd=st.integers(0, 10**8),
    data=st.data(),
)
def test_exploration_keeps_its_share_its_ceiling_and_the_order_of_every_policy(
    lanes: list[Lane],
    prediction: Prediction,
    context: RouteContext,
    bar: float | None,
    share: float,
    left_nusd: int,
    data: st.DataObject,
) -> None:
    table = LaneTable.build(lanes, TRAINED_NAMES)
    eligible = np.array(data.draw(st.lists(st.booleans(), min_size=len(lanes), max_size=len(lanes)).filter(any)))
    places = data.draw(st.none() | st.lists(st.integers(0, 2), min_size=len(lanes), max_size=len(lanes)))
    fallback_tier = None if places is None else np.array(places)
    expectation = expect_outcomes(table, prediction, context, LaneState.unmeasured(table))
    candidates = Candidates(eligible, fallback_tier, expectation, Preferences(quality_bar=bar))
    base = policy_named(data.draw(st.sampled_from(sorted(POLICIES))))
    terms = replace(TERMS, share=share)
    alone, ranking = base.rank(candidates), Exploring(base, terms, left_nusd).rank(candidates)
    best, tried = alone.order[0], np.flatnonzero(ranking.probabilities)
    assert ranking.order.tolist() == alone.order.tolist()
    assert ranking.probabilities.sum() == pytest.approx(1)
    assert (ranking.probabilities[~eligible] == 0).all()
    assert ranking.probabilities[best] == pytest.approx(1 if len(tried) == 1 else 1 - share)
    assert len(tried) <= 1 + terms.most_lanes
    for row in set(tried.tolist()) - {int(best)}:
        assert ranking.exploration_prices_usd is not None
        assert 0 <= np.ceil(ranking.exploration_prices_usd[row] * 1e9) <= left_nusd
        assert expectation.quality[row] >= (terms.quality_bar if bar is None else bar)
        assert fallback_tier is None or fallback_tier[row] <= fallback_tier[best]


@given(lane_lists(), predictions(), contexts(), st.sampled_from(sorted(POLICIES)))
def test_with_nothing_left_the_decision_is_that_of_the_policy_alone(
    lanes: list[Lane], prediction: Prediction, context: RouteContext, name: str
) -> None:
    table, base = LaneTable.build(lanes, TRAINED_NAMES), policy_named(name)
    arguments = table, context, prediction, LaneState.unmeasured(table)
    first, second = np.random.default_rng(1), np.random.default_rng(1)
    try:
        alone = decide(*arguments, base, first, NO_CONSTRAINTS, NO_PREFERENCES)
    except NoEligibleLaneError:
        assume(False)
    wrapped = decide(*arguments, Exploring(base, TERMS, 0), second, NO_CONSTRAINTS, NO_PREFERENCES)
    assert (wrapped.order, wrapped.reason, wrapped.policy_name) == (alone.order, alone.reason, alone.policy_name)
    assert wrapped.probabilities.tolist() == alone.probabilities.tolist()
    assert first.random() == second.random()
