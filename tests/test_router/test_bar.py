"""A relative bar is kept on prompts like those it was solved on, at the least cost that keeps it."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from fakes.catalogue import Row, catalogue_of

from router.bar import QUALITY_ALONE_USD, Bar, BarRule, LaneReference, graded_groups, solve_bar
from router.lane import Lane, QualityPrior
from router.lane_table import LaneTable
from router.placement import Placement
from router.price_table import Price
from router.reference_answers import ReferenceAnswers

RNG = np.random.default_rng(3)
N = 4_000
EVERY = np.array([0.95, 0.7, 0.4]) * np.where(RNG.random((N, 1)) < 0.5, 1.0, 0.6)  # half of the prompts are hard
SCORE = (RNG.random(EVERY.shape) < EVERY).astype(float)
COST = np.tile([0.02, 0.002, 0.0001], (N, 1))
ALL = [np.arange(N // 2)]
SOLVING, TRYING = slice(0, N // 2), slice(N // 2, N)


def kept_and_cost(share: float) -> tuple[float, float]:
    """Return (share of the best lane's mean score, mean cost) on the half that the bar was not solved on."""
    chosen = solve_bar(EVERY[SOLVING], COST[SOLVING], SCORE[SOLVING], ALL, share).choose(EVERY[TRYING], COST[TRYING])
    rows = np.arange(N // 2)
    return SCORE[TRYING][rows, chosen].mean() / SCORE[TRYING][:, 0].mean(), COST[TRYING][rows, chosen].mean()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.8])
def test_the_share_is_kept_and_money_is_saved(share: float) -> None:
    kept, cost = kept_and_cost(share)
    assert kept >= share
    assert cost < COST[0, 0]


def test_a_lower_share_never_costs_more() -> None:
    costs = [kept_and_cost(share)[1] for share in (0.2, 0.5, 0.7, 0.9, 1.0)]
    assert all(cheaper <= costlier for cheaper, costlier in pairwise(costs))


def test_every_source_has_to_keep_the_share() -> None:
    easy, hard = np.flatnonzero(EVERY[SOLVING][:, 0] == 0.95), np.flatnonzero(EVERY[SOLVING][:, 0] < 0.95)
    spread = EVERY[SOLVING].copy()
    spread[hard, 1:] = spread[hard, :1] - 0.001  # on the hard ones all lanes are believed alike, and are not
    together = solve_bar(spread, COST[SOLVING], SCORE[SOLVING], [np.arange(N // 2)], 0.85)
    apart = solve_bar(spread, COST[SOLVING], SCORE[SOLVING], [easy, hard], 0.85)
    assert apart.willingness_to_pay_usd >= together.willingness_to_pay_usd


def test_where_beliefs_mislead_the_best_lane_answers_everything() -> None:
    upside_down = EVERY[SOLVING][:, ::-1]
    assert solve_bar(upside_down, COST[SOLVING], SCORE[SOLVING], ALL, 0.95) == BarRule(QUALITY_ALONE_USD, lane=0)


def test_a_lane_alone_answers_everything_where_weighing_would_cost_more() -> None:
    """Weighing goes from the expensive lane straight to the bad one: the good, cheap one is not expected to be good."""
    score = np.column_stack([SCORE[SOLVING][:, 0], SCORE[SOLVING][:, 0], SCORE[SOLVING][:, 2]])
    believed = np.tile([0.9, 0.5, 0.5], (N // 2, 1))
    assert solve_bar(believed, COST[SOLVING], score, ALL, 0.9).lane == 1


def test_where_no_rule_keeps_the_share_the_closest_one_is_taken() -> None:
    easy, hard = np.flatnonzero(EVERY[SOLVING][:, 0] == 0.95), np.flatnonzero(EVERY[SOLVING][:, 0] < 0.95)
    score = np.zeros((N // 2, 2))
    score[easy, 0] = (
        1  # one lane answers all easy prompts, the other nine tenths of the hard ones, and beliefs tell nothing
    )
    score[hard[: int(0.9 * len(hard))], 1] = 1
    believed = np.full((N // 2, 2), 0.5)
    rule = solve_bar(believed, COST[SOLVING][:, :2], score, [easy, hard], 0.95)
    assert rule.choose(believed, COST[SOLVING][:, :2]).tolist() == [0] * (N // 2)


def test_sources_on_which_few_lanes_were_graded_do_not_count() -> None:
    source = np.repeat(np.array([0, 1], np.uint16), 200)
    is_graded = np.zeros((400, 3), np.bool_)
    assert [len(rows) for rows in graded_groups(is_graded, source)] == [400]
    is_graded[200:, :2] = True
    assert [rows.tolist() for rows in graded_groups(is_graded, source)] == [list(range(200, 400))]


def made_table() -> LaneTable:
    placement = Placement(np.array([1.0, 0, 0]), 0.0, 0.1, 0.0, 1.0, 50)  # as the first trained model
    priors = (None, None, None, QualityPrior(0.0, 1.0, "a test", placement))
    lanes = [
        Lane(
            lane_id=f"north/{number}",
            provider="north",
            upstream_model=f"{number}",
            vendor_model=f"v/{number}",
            account="north",
            price=Price(Decimal(0), Decimal(price), "a test", date(2026, 11, 1)),
            trained_name=None if prior else ("alpha", "beta", "gamma")[number],
            prior=prior,
        )
        for number, (price, prior) in enumerate(zip(("200", "20", "1", "5"), priors, strict=True))
    ]
    return LaneTable.build(lanes, ("alpha", "beta", "gamma"))


def made_reference() -> ReferenceAnswers:
    return ReferenceAnswers(
        EVERY.astype(np.float32),
        np.full(EVERY.shape, 100, np.float32),
        SCORE.astype(np.float32),
        np.full(EVERY.shape, np.nan, np.float32),
        np.zeros(N, np.float32),
        np.full(N, 50, np.float32),
        np.zeros(N, np.uint16),
        np.zeros(N, np.uint16),
        np.array(["made/all"]),
    )


def test_catalogue_models_count_by_their_rows_if_the_reference_says_what_its_prompts_demand() -> None:
    plain = made_table()
    models = catalogue_of([Row("v/3", 2.0, 0.02, 100, 900)])
    lanes = [replace(lane, prior=None) for lane in plain.lanes]
    table = LaneTable.build(lanes, ("alpha", "beta", "gamma"), models)
    demand = np.tile(np.array([1, 0, 0, 0, 1], np.float32), (N, 1))
    without, with_rows = (LaneReference(table, replace(made_reference(), demand=given)) for given in (None, demand))
    assert np.allclose(with_rows.quality[:, :3], without.quality[:, :3], atol=1e-5)  # exam questions: as the graph says
    assert np.allclose(without.quality[:, 3], 0.5)  # nothing is known of it
    assert np.allclose(with_rows.quality[:, 3], 1 / (1 + np.exp(-2)), atol=1e-3)
    assert np.allclose(with_rows.completion_tokens[:, 3], 1_000 * np.exp(0.125))


def test_a_bar_is_solved_once_for_each_set_of_lanes_and_reads_the_reference_once() -> None:
    readings = []

    def read() -> ReferenceAnswers:
        readings.append(1)
        return made_reference()

    bar = Bar(made_table(), read)
    assert not readings
    first = bar.rule(np.array([True, True, True, False]), 0.9)
    assert first == bar.rule(np.array([True, True, True, False]), 0.9)
    # A calibrated lane as good as the most expensive one and far cheaper makes expensive answers needless.
    with_calibrated = bar.rule(np.array([True, True, True, True]), 0.9)
    assert with_calibrated.willingness_to_pay_usd < first.willingness_to_pay_usd
    assert len(readings) == 1


def test_the_sample_survives_the_way_to_disk(tmp_path_factory: pytest.TempPathFactory) -> None:
    reference = made_reference()
    reference.score[::7, 1] = np.nan
    path = tmp_path_factory.mktemp("reference") / "reference_answers.npz"
    path.write_bytes(reference.to_bytes())
    read = ReferenceAnswers.read(path, 3)
    assert reference.to_bytes() == read.to_bytes()
    np.testing.assert_allclose(read.quality, reference.quality, atol=5e-4)
    np.testing.assert_allclose(read.completion_tokens, reference.completion_tokens, rtol=5e-3)
    np.testing.assert_array_equal(np.isnan(read.score), np.isnan(reference.score))


def test_the_lane_that_answers_everything_is_a_row_of_the_whole_table() -> None:
    upside_down = replace(made_reference(), quality=EVERY[:, ::-1].astype(np.float32))
    assert Bar(made_table(), lambda: upside_down).rule(np.array([False, True, True, False]), 1.0).lane == 1
