"""Knowing a model is worth something only if it could change a choice."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from checkout import SHIPPED_BUNDLE

from router.bar import LaneReference
from router.bundle import load_bundle
from router.lane import Lane, QualityPrior
from router.lane_table import LaneTable
from router.price_table import Price
from serve.jobs.calibrate.value_of_knowing import ValueOfKnowing

BUNDLE = load_bundle(SHIPPED_BUNDLE)
REFERENCE = BUNDLE.read_reference()
WORTH_USD = 0.01


def lane(name: str, output_usd: str, ability: float = 1.0, std: float = 0.8, provider: str = "mine") -> Lane:
    price = Price(
        input_usd_per_mtok=Decimal("0.1"),
        output_usd_per_mtok=Decimal(output_usd),
        source="a test",
        checked_on=date(2026, 11, 30),
    )
    return Lane(
        lane_id=f"{provider}/{name}",
        provider=provider,
        upstream_model=name,
        vendor_model=name,
        account="default",
        price=price,
        prior=QualityPrior(ability, std, "a test"),
    )


def value_of(lanes: list[Lane]) -> ValueOfKnowing:
    return ValueOfKnowing(lanes, [each.vendor_model for each in lanes], BUNDLE, REFERENCE, WORTH_USD)


RIVALS = [lane("rival", "1"), lane("newcomer", "1.2")]


def test_the_value_is_the_mean_gain_of_choosing_by_the_truth() -> None:
    """The closed form agrees with drawing the truth: its linear effect on the quality, at each worth."""
    beliefs = LaneReference(LaneTable.build(RIVALS, BUNDLE.trained_names), REFERENCE)
    rng = np.random.default_rng(0)
    std, gains = 0.8, []
    for worth in (0.001, 0.01, 0.1):
        utility = worth * beliefs.quality - beliefs.cost_usd
        slope = worth * beliefs.quality[:, 1] * (1 - beliefs.quality[:, 1]) * std
        drawn = utility[:, 1:] + slope[:, None] * rng.normal(size=(len(utility), 400))
        gains.append((np.maximum(drawn, utility[:, :1]).mean(axis=1) - utility.max(axis=1)).mean() / worth)
    assert value_of(RIVALS).of("newcomer", std) == pytest.approx(float(np.mean(gains)), rel=0.05)


def test_certainty_and_hopelessness_are_worth_nothing() -> None:
    value = value_of([*RIVALS, lane("ruinous", "90000")])
    assert value.of("newcomer", 1e-9) == pytest.approx(0, abs=1e-9)
    assert value.of("ruinous", 0.8) == pytest.approx(0, abs=1e-6)
    assert value.of("newcomer", 1.2) > value.of("newcomer", 0.6) > 0


def test_lanes_of_one_name_do_not_compete_with_each_other() -> None:
    other_lane = lane("newcomer", "1.3", provider="yours")
    assert value_of([*RIVALS, other_lane]).of("newcomer", 0.8) == pytest.approx(value_of(RIVALS).of("newcomer", 0.8))


def test_a_better_belief_changes_the_value_and_focus_does_not() -> None:
    lanes = [*RIVALS, lane("third", "2", 2.0), lane("fourth", "0.2", -1.0)]
    value = value_of(lanes)
    before = value.of("newcomer", 0.8)
    value.focus(["newcomer", "third"])
    assert value.of("newcomer", 0.8) == pytest.approx(before)
    better = replace(lanes[1], prior=QualityPrior(6.0, 0.1, "a test"))
    value.update("newcomer", [better])
    expected = value_of([lanes[0], better, *lanes[2:]])
    assert value.of("newcomer", 0.1) == pytest.approx(expected.of("newcomer", 0.1))
    assert value.of("third", 0.8) == pytest.approx(expected.of("third", 0.8))


def test_the_only_model_is_compared_with_no_answer() -> None:
    assert value_of(RIVALS[:1]).of("rival", 0.8) == pytest.approx(0, abs=0.01)
