"""Tries the gate on a few of the simulated nights."""

import pytest

from training.promotion.gate_validation import CHALLENGERS, judge_night

pytestmark = [pytest.mark.slow]


def test_the_gate_lets_better_challengers_through_and_few_others() -> None:
    passed = {name: sum(judge_night(name, seed)[0] for seed in range(5)) for name in CHALLENGERS}
    assert passed["better"] >= 4
    assert sum(passed.values()) - passed["better"] <= 1
