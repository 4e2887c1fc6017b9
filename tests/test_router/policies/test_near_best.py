"""`near_best` keeps its share with the lanes as they are now, not as they were when the bundle was trained."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from router.bar import Bar
from router.context import Preferences
from router.expectation import Expectation
from router.lane import Lane
from router.lane_table import LaneTable
from router.policies.base import Candidates
from router.policies.near_best import NearBest
from router.price_table import Price
from router.reference_answers import ReferenceAnswers

N = 2_000
BELIEVED, TRUE = np.array([0.9, 0.5, 0.5]), np.array([0.9, 0.93, 0.5])
COST_USD = np.array([0.02, 0.002, 0.0001])


def bar() -> Bar:
    """Return a bar under which the second lane answers everything: it is better than believed, and cheap.

    Weighing would go from the first lane straight to the third, which is cheaper and believed to be as good.
    """
    quality = np.tile(BELIEVED, (N, 1)).astype(np.float32)
    score = (np.random.default_rng(0).random(quality.shape) < TRUE).astype(np.float32)
    nothing, numbers = np.full(quality.shape, np.nan, np.float32), np.full(quality.shape, 100, np.float32)
    unsorted = np.zeros(N, np.uint16)
    reference = ReferenceAnswers(
        quality,
        numbers,
        score,
        nothing,
        np.zeros(N, np.float32),
        np.full(N, 50, np.float32),
        unsorted,
        unsorted,
        np.array(["made/all"]),
    )
    names = ("alpha", "beta", "gamma")
    lanes = [
        Lane(
            lane_id=f"north/{name}",
            provider="north",
            upstream_model=name,
            vendor_model=f"v/{name}",
            account="north",
            price=Price(Decimal(0), Decimal(price), "a test", date(2026, 11, 1)),
            trained_name=name,
        )
        for name, price in zip(names, ("200", "20", "1"), strict=True)
    ]
    return Bar(LaneTable.build(lanes, names), lambda: reference)


def first(bar: Bar, shift: list[float] | None = None, account_shift: list[float] | None = None) -> int:
    quality = BELIEVED
    for each in (shift, account_shift):
        if each is not None:
            odds = quality / (1 - quality) * np.exp(each)
            quality = odds / (1 + odds)
    expectation = Expectation(
        quality,
        np.full(3, 0.02),
        np.full(3, 100.0),
        COST_USD,
        np.full(3, 500.0),
        quality_shift=None if shift is None else np.array(shift),
        account_shift=None if account_shift is None else np.array(account_shift),
    )
    candidates = Candidates(np.ones(3, np.bool_), None, expectation, Preferences(quality_of_best=0.97), bar)
    return int(NearBest().rank(candidates).order[0])


def test_the_one_lane_of_the_rule_is_left_when_it_got_worse() -> None:
    solver = bar()
    assert solver.rule(np.ones(3, np.bool_), 0.97).lane == 1
    assert first(solver) == 1
    assert first(solver, shift=[0.0, -2.0, 0.0]) == 0
    assert first(solver, shift=[0.0, -0.3, 0.0]) == 1  # within its own deviation
    assert first(solver) == 1


def test_another_lane_that_got_much_better_takes_its_place() -> None:
    assert first(bar(), shift=[0.0, -1.0, 3.0]) == 2


@pytest.mark.parametrize(("own", "expected"), [(-2.0, 0), (0.4, 1), (-0.2, 1)])
def test_an_accounts_correction_for_a_prompt_counts(own: float, expected: int) -> None:
    assert first(bar(), account_shift=[0.0, own, 0.0]) == expected


def test_shifts_that_differ_by_less_than_a_step_are_solved_once() -> None:
    solver, everyone = bar(), np.ones(3, np.bool_)
    rules = [solver.rule(everyone, 0.97, np.array([0.0, shift, 0.0])) for shift in (-1.1, -1.3, -1.4)]
    solver.prepare_shift(np.array([0.0, -1.2, 0.0]))
    assert rules[0] is rules[1] is rules[2] is solver.rule(everyone, 0.97, np.array([0.0, -1.2, 0.0]))
    assert solver.rule(everyone, 0.97, np.array([0.0, -1.6, 0.0])) is not rules[0]
