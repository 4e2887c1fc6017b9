"""The decision as a whole: filtered, ranked, drawn and explained."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import TRAINED_NAMES, constraints, contexts, lane_lists, lanes_at_efforts, predictions

from router.context import NO_CONSTRAINTS, NO_PREFERENCES, Constraints, Preferences, RouteContext
from router.decision import Decision, decide, draw
from router.eligibility import exclude_lanes
from router.errors import NoEligibleLaneError
from router.expectation import LaneState, expect_outcomes
from router.lane import Capability, Lane, QualityPrior
from router.lane_table import LaneTable
from router.policies.best_value import BEST_QUALITY_PER_DOLLAR, BestValue
from router.policies.cheapest_above_bar import BEST_BELOW_BAR, CHEAPEST_ABOVE_BAR, CheapestAboveBar
from router.policies.pinned import PINNED, Pinned
from router.policies.registry import POLICIES, policy_named
from router.price_table import Price
from router.quality_model import Prediction
from router.reason import AFFINITY, ONLY_CANDIDATE


def lane(name: str, rate: str, trained_name: str | None = None, **others: object) -> Lane:
    price = Price(Decimal(rate), Decimal(rate), "a test", date(2026, 11, 1))
    plain = Lane(
        f"p/{name}", "p", name, f"vendor/{name}", "p", price, context_tokens=100_000, trained_name=trained_name
    )
    return replace(plain, **others)  # type: ignore[arg-type]


def prediction(*quality: float, difficulty: float = 0.0) -> Prediction:
    n = len(quality)
    floats = np.array(quality, dtype=np.float32)
    return Prediction(
        floats, np.full(n, 0.1, np.float32), np.full(n, 100, np.float32), difficulty, 100.0, np.zeros(1, np.float32)
    )


CHEAP, MIDDLE, EXPENSIVE = lane("cheap", "0.1", "alpha"), lane("middle", "1", "beta"), lane("expensive", "10", "gamma")
CONTEXT = RouteContext("a prompt", 8, 100)


def decide_on(
    lanes: list[Lane],
    believed: Prediction,
    policy: str = "best_value",
    constraints: Constraints = NO_CONSTRAINTS,
    preferences: Preferences = NO_PREFERENCES,
    context: RouteContext = CONTEXT,
) -> Decision:
    table = LaneTable.build(lanes, TRAINED_NAMES)
    rng = np.random.default_rng(0)
    return decide(
        table, context, believed, LaneState.unmeasured(table), policy_named(policy), rng, constraints, preferences
    )


def test_an_easy_prompt_goes_to_the_cheap_lane_and_a_hard_one_to_the_expensive_lane() -> None:
    lanes = [CHEAP, MIDDLE, EXPENSIVE]
    assert decide_on(lanes, prediction(0.95, 0.96, 0.97)).chosen == CHEAP
    assert decide_on(lanes, prediction(0.05, 0.1, 0.9)).chosen == EXPENSIVE


def test_the_bar_picks_the_cheapest_lane_that_meets_it() -> None:
    decision = decide_on(
        [EXPENSIVE, MIDDLE, CHEAP],
        prediction(0.5, 0.8, 0.9),
        "cheapest_above_bar",
        preferences=Preferences(quality_bar=0.75),
    )
    assert decision.chosen == MIDDLE
    assert decision.reason is CHEAPEST_ABOVE_BAR


def test_a_bar_that_no_lane_meets_gives_the_best_one_and_says_so() -> None:
    decision = decide_on(
        [CHEAP, MIDDLE, EXPENSIVE],
        prediction(0.5, 0.9, 0.8),
        "cheapest_above_bar",
        preferences=Preferences(quality_bar=0.95),
    )
    assert decision.chosen == MIDDLE
    assert decision.reason is BEST_BELOW_BAR


def test_paying_more_for_a_good_answer_buys_the_better_lane() -> None:
    lanes, believed = [CHEAP, EXPENSIVE], prediction(0.6, 0, 0.9)
    assert decide_on(lanes, believed, preferences=Preferences(willingness_to_pay_usd=0.0001)).chosen == CHEAP
    assert decide_on(lanes, believed, preferences=Preferences(willingness_to_pay_usd=1.0)).chosen == EXPENSIVE


def test_the_fallback_order_goes_from_best_to_worst() -> None:
    decision = decide_on([CHEAP, MIDDLE, EXPENSIVE], prediction(0.9, 0.9, 0.9))
    assert [decision.table.lanes[row].upstream_model for row in decision.order] == ["cheap", "middle", "expensive"]


def test_a_pin_wins_over_quality_and_price() -> None:
    decision = decide_on(
        [CHEAP, EXPENSIVE], prediction(0.99, 0, 0.01), "pinned", Constraints(pinned_lanes=frozenset({"p/expensive"}))
    )
    assert decision.chosen == EXPENSIVE
    assert decision.reason is PINNED
    assert decision.order == (1,)


def test_a_lane_that_cannot_do_what_is_required_is_excluded_by_that_name() -> None:
    seeing = replace(CHEAP, lane_id="p/seeing", capabilities=Capability.IMAGES)
    decision = decide_on([CHEAP, seeing], prediction(0.9, 0, 0), context=replace(CONTEXT, required=Capability.IMAGES))
    assert decision.chosen == seeing
    assert decision.exclusions.by_row() == {0: "capability"}
    assert decision.reason is ONLY_CANDIDATE


def test_an_unknown_region_satisfies_no_region() -> None:
    with pytest.raises(NoEligibleLaneError, match="p/cheap: region"):
        decide_on([CHEAP], prediction(0.9, 0, 0), constraints=Constraints(region="eu"))


def test_a_prompt_and_its_answer_must_fit_the_context() -> None:
    decision = decide_on(
        [replace(CHEAP, context_tokens=1_000), EXPENSIVE],
        prediction(0.9, 0, 0.9),
        context=replace(CONTEXT, prompt_tokens=900, max_output_tokens=200),
    )
    assert decision.exclusions.by_row() == {0: "context_length"}


def test_a_model_never_seen_in_training_is_judged_by_its_prior_and_the_prompts_difficulty() -> None:
    strong = lane("strong", "1", prior=QualityPrior(2.0, 0.5, "a test"))
    weak = lane("weak", "1", prior=QualityPrior(-1.0, 0.5, "a test"))
    easy = decide_on([strong, weak], prediction(0, 0, 0, difficulty=-3.0)).expectation
    hard = decide_on([strong, weak], prediction(0, 0, 0, difficulty=2.0)).expectation
    assert easy.quality[0] > easy.quality[1] > 0.8
    assert pytest.approx(hard.quality[0]) == 0.5
    assert hard.quality[1] < 0.1


def test_a_vaguer_prior_is_nearer_to_even_odds() -> None:
    sure = lane("sure", "1", prior=QualityPrior(2.0, 0.2, "a test"))
    vague = lane("vague", "1", prior=QualityPrior(2.0, 1.5, "a test"))
    quality = decide_on([sure, vague], prediction(0, 0, 0)).expectation.quality
    assert quality[0] > quality[1] > 0.5


def test_a_soft_preference_puts_a_lane_in_a_later_tier_and_never_excludes_it() -> None:
    slow = replace(CHEAP, typical_ttft_ms=60_000.0)
    wish = Preferences(preferred_max_latency_ms=5_000)
    assert decide_on([slow, EXPENSIVE], prediction(0.9, 0, 0.9), preferences=wish).chosen == EXPENSIVE
    assert decide_on([slow], prediction(0.9, 0, 0.9), preferences=wish).chosen == slow


def test_the_order_of_providers_comes_before_utility() -> None:
    elsewhere = replace(EXPENSIVE, lane_id="q/expensive", provider="q")
    decision = decide_on(
        [CHEAP, elsewhere], prediction(0.9, 0, 0.1), preferences=Preferences(preferred_providers=("q",))
    )
    assert decision.chosen == elsewhere
    assert decision.order == (1, 0)


def test_drawing_follows_the_probabilities() -> None:
    rng = np.random.default_rng(7)
    drawn = [draw(np.array([0.2, 0.5, 0.3]), rng) for _ in range(4_000)]
    assert np.bincount(drawn) / 4_000 == pytest.approx([0.2, 0.5, 0.3], abs=0.03)


@given(lane_lists(), predictions(), contexts(), st.data())
def test_every_policy_returns_probabilities_over_the_eligible_lanes_only(
    lanes: list[Lane], believed: Prediction, context: RouteContext, data: st.DataObject
) -> None:
    wanted = data.draw(constraints([lane.lane_id for lane in lanes]))
    name = data.draw(st.sampled_from(sorted(POLICIES)))
    try:
        decision = decide_on(lanes, believed, name, wanted, context=context)
    except NoEligibleLaneError as error:
        excluded = set(error.excluded)
    else:
        assert_sound(decision)
        return
    assert excluded == {lane.lane_id for lane in lanes}


def decide_in(
    state: LaneState, table: LaneTable, believed: Prediction, context: RouteContext, policy: str = "best_value"
) -> Decision:
    rng = np.random.default_rng(0)
    return decide(table, context, believed, state, policy_named(policy), rng, NO_CONSTRAINTS, NO_PREFERENCES)


def test_a_conversation_stays_where_its_prompt_cache_makes_it_cheaper_and_the_reason_says_so() -> None:
    cached = replace(MIDDLE.price, cached_input_usd_per_mtok=Decimal("0.1"))
    table = LaneTable.build([replace(MIDDLE, price=cached), lane("near", "0.7", "beta")], TRAINED_NAMES)
    context, believed = RouteContext("a long talk", 11, 20_000), prediction(0.5, 0.9, 0.5)
    cold = LaneState.unmeasured(table)
    assert decide_in(cold, table, believed, context).chosen.lane_id == "p/near"
    warm = decide_in(replace(cold, cached_tokens=np.array([18_000.0, 0.0])), table, believed, context)
    assert (warm.chosen.lane_id, warm.reason) == ("p/middle", AFFINITY)
    assert warm.expectation.cache_discount_usd is not None
    assert warm.expectation.cache_discount_usd.tolist() == pytest.approx([18_000 * 0.9e-6, 0])
    lukewarm = decide_in(replace(cold, cached_tokens=np.array([2_000.0, 0.0])), table, believed, context)
    assert (lukewarm.chosen.lane_id, lukewarm.reason) == ("p/near", BEST_QUALITY_PER_DOLLAR)


def test_a_warm_cache_that_changes_nothing_is_not_the_reason() -> None:
    cached = replace(CHEAP.price, cached_input_usd_per_mtok=Decimal("0.01"))
    table = LaneTable.build([replace(CHEAP, price=cached), EXPENSIVE], TRAINED_NAMES)
    warm = replace(LaneState.unmeasured(table), cached_tokens=np.array([90.0, 0.0]))
    decision = decide_in(warm, table, prediction(0.9, 0.9, 0.9), CONTEXT)
    assert (decision.chosen.lane_id, decision.reason) == ("p/cheap", BEST_QUALITY_PER_DOLLAR)


def test_a_lane_without_tokens_enough_is_left_out_and_the_largest_answer_counts_where_it_is_counted() -> None:
    table = LaneTable.build([CHEAP, EXPENSIVE], TRAINED_NAMES)
    believed, context = prediction(0.9, 0.9, 0.9), RouteContext("a prompt", 8, 100, max_output_tokens=1_000)
    state = replace(LaneState.unmeasured(table), tokens_left=np.array([300.0, np.inf]))
    assert decide_in(state, table, believed, context).chosen == CHEAP  # 100 in, 100 expected out
    counted = decide_in(replace(state, counts_max_output=np.array([True, False])), table, believed, context)
    assert counted.chosen == EXPENSIVE
    assert counted.exclusions.by_row() == {0: "rate_limit"}


def test_a_lane_that_often_fails_is_expected_to_take_longer() -> None:
    table = LaneTable.build([CHEAP, MIDDLE], TRAINED_NAMES)
    state = replace(LaneState.unmeasured(table), error_rate=np.array([0.5, 0.0]))
    decision = decide_in(state, table, prediction(0.9, 0.9, 0.9), CONTEXT, "lowest_latency")
    assert decision.chosen == MIDDLE
    assert decision.expectation.latency_ms[0] == pytest.approx(2 * decision.expectation.latency_ms[1])


def assert_sound(decision: Decision) -> None:
    eligible = decision.exclusions.is_eligible
    assert decision.probabilities.sum() == pytest.approx(1)
    assert (decision.probabilities[~eligible] == 0).all()
    assert sorted(decision.order) == np.flatnonzero(eligible).tolist()
    assert 0 < decision.propensity <= 1


@given(lanes_at_efforts(), predictions(), contexts(), st.data())
def test_a_further_constraint_never_makes_a_lane_eligible(
    lanes: list[Lane], believed: Prediction, context: RouteContext, data: st.DataObject
) -> None:
    table = LaneTable.build(lanes, TRAINED_NAMES)
    state = LaneState.unmeasured(table)
    expectation = expect_outcomes(table, believed, context, state)
    wanted = data.draw(constraints(list(table.lane_ids)))
    field = data.draw(
        st.sampled_from(["pinned_lanes", "region", "denies_training", "max_cost_usd", "allowed_lanes", "efforts"])
    )
    looser = replace(wanted, **{field: getattr(NO_CONSTRAINTS, field)})
    tight = exclude_lanes(table, context, wanted, expectation, state).is_eligible
    loose = exclude_lanes(table, context, looser, expectation, state).is_eligible
    assert not (tight & ~loose).any()


@given(lane_lists(min_size=2), predictions())
def test_the_better_of_two_equally_priced_lanes_wins(lanes: list[Lane], believed: Prediction) -> None:
    first = replace(
        lanes[0], lane_id="a", price=CHEAP.price, context_tokens=10_000, trained_name="alpha", typical_ttft_ms=None
    )
    second = replace(first, lane_id="b", trained_name="beta")
    same_length = replace(believed, completion_tokens=np.full(3, 50, np.float32))
    assume(abs(believed.quality[0] - believed.quality[1]) > 1e-3)
    better = first if believed.quality[0] > believed.quality[1] else second
    for policy in (BestValue().name, CheapestAboveBar().name):
        wish = Preferences(quality_bar=1.0) if policy == "cheapest_above_bar" else NO_PREFERENCES
        assert decide_on([first, second], same_length, policy, preferences=wish).chosen == better


def test_names_find_lanes_exactly() -> None:
    table = LaneTable.build([CHEAP, replace(CHEAP, lane_id="q/cheap", provider="q")], TRAINED_NAMES)
    assert table.find("vendor/cheap") == (0, 1)
    assert table.find("cheap") == (0, 1)
    assert table.find("q:vendor/cheap") == (1,)
    assert table.find("q/cheap") == (1,)
    assert table.find("chea") == ()
    assert Pinned().name == "pinned"


def test_a_model_that_was_learned_from_logs_is_found_by_its_vendors_name() -> None:
    learned = LaneTable.build([lane("fresh", "1"), lane("other", "1", "alpha")], ("alpha", "vendor/fresh"))
    assert learned.trained_index.tolist() == [1, 0]
