"""The measures, on pools that can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus.routing_measures import (
    Pool,
    area_under_gap_recovered,
    area_under_roc,
    calibration_error,
    measure_only_choices,
    measure_router,
    oracle_curve,
    random_mix_curve,
    single_models,
)


def pool_of(score: list[list[float]], cost: list[float]) -> Pool:
    grades = np.array(score, float)
    n, m = grades.shape
    costs = np.tile(np.array(cost, float), (n, 1))
    return Pool("hand", tuple("abc"[:m]), np.arange(n), np.arange(m), grades, costs, costs, np.zeros(m), True)


# A cheap model that is right on the first two prompts and a dear one that is right on the last three of four.
HAND = pool_of([[1, 0], [1, 1], [0, 1], [0, 1]], [0.001, 0.1])


def test_knowing_every_grade_closes_the_gap() -> None:
    measures = measure_router(HAND, HAND.score - 1e-9 * HAND.cost, np.zeros_like(HAND.score))
    assert measures.gap_closed == pytest.approx(1)
    assert measures.best_score == 1
    assert measures.auc == 1
    assert measures.brier == pytest.approx(0, abs=1e-9)
    assert measures.cost_bias == pytest.approx(0)


def test_a_single_model_closes_nothing_and_saves_nothing() -> None:
    measures = measure_only_choices(HAND, single_models(HAND))
    assert measures.gap_closed == 0
    assert measures.save_100 == 0
    assert np.isnan(measures.auc)


def test_cost_saved_is_that_of_the_cheapest_point_that_is_good_enough() -> None:
    # The oracle takes the cheap model for prompts 1 and 2: score 1 at half the expensive model's cost. It reaches 0.75
    # with one expensive answer less.
    oracle = measure_only_choices(HAND, oracle_curve(HAND))
    assert oracle.save_100 == pytest.approx(1 - (0.001 * 3 + 0.1) / 4 / 0.1, abs=0.01) or oracle.save_100 >= 0.49


def test_a_router_that_never_reaches_the_best_model_says_never() -> None:
    always_cheap = np.array([[1.0, 0.0]] * 4)
    assert measure_router(HAND, always_cheap, np.zeros_like(HAND.score)).save_100 == -1


def test_a_random_mix_is_the_straight_line_between_models() -> None:
    curve = random_mix_curve(HAND)
    low, high = single_models(HAND)
    shares = (curve[:, 0] - low[0]) / (high[0] - low[0])
    assert curve[:, 1] == pytest.approx(low[1] + shares * (high[1] - low[1]))


def test_a_mix_leaves_out_models_that_two_others_beat() -> None:
    pool = pool_of([[1, 0, 1], [0, 0, 1], [0, 1, 1], [0, 0, 1]], [0.01, 0.05, 0.06])
    curve = random_mix_curve(pool)
    assert not np.any(np.all(np.isclose(curve, single_models(pool)[1]), axis=1))


def test_the_area_under_roc_counts_ties_as_half() -> None:
    assert area_under_roc(np.array([True, False]), np.array([0.5, 0.5])) == 0.5
    assert area_under_roc(np.array([True, True, False]), np.array([0.9, 0.2, 0.5])) == 0.5
    assert np.isnan(area_under_roc(np.array([True, True]), np.array([0.1, 0.2])))


def test_calibration_error_by_hand() -> None:
    assert calibration_error(np.array([0.9, 0.9, 0.1, 0.1]), np.array([1.0, 1.0, 0.0, 0.0])) == pytest.approx(0.1)
    assert calibration_error(np.array([0.5, 0.5]), np.array([1.0, 0.0])) == pytest.approx(0)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60))
def test_measures_stay_in_their_ranges(pairs: list[tuple[float, bool]]) -> None:
    quality = np.array([pair[0] for pair in pairs])
    hits = np.array([pair[1] for pair in pairs])
    assert 0 <= calibration_error(quality, hits.astype(float)) <= 1
    area = area_under_roc(hits, quality)
    assert np.isnan(area) or 0 <= area <= 1


def test_gap_recovered_is_half_for_a_coin_and_one_where_the_gap_is_found_first() -> None:
    weak, strong = np.array([1.0, 1.0, 0.0, 0.0]), np.ones(4)
    assert area_under_gap_recovered(np.array([0.0, 0, 1, 1]), strong, weak) == pytest.approx((0.25 + 0.75 + 1 + 1) / 4)
    assert area_under_gap_recovered(np.array([1.0, 1, 0, 0]), strong, weak) == pytest.approx((0 + 0 + 0.25 + 0.75) / 4)
    rng = np.random.default_rng(0)
    scores = rng.random(20_000)
    assert area_under_gap_recovered(rng.random(20_000), np.ones(20_000), scores) == pytest.approx(0.5, abs=0.01)
