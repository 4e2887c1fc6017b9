"""What is kept of a limit before a request is sent, and what a provider's own figures change about it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.lanes.allowance import Allowances
from serve.lanes.rate_limit_headers import Window


def left(allowances: Allowances, now_s: float = 0.0) -> float:
    return float(allowances.left(now_s)[0])


@pytest.fixture
def hundred() -> Allowances:
    allowances = Allowances(1)
    allowances.set_per_minute(0, 100)
    return allowances


def test_no_limit_is_known_before_settings_or_a_provider_name_one() -> None:
    allowances = Allowances(2)
    allowances.take(0, 1e9, 0.0)
    assert not allowances.is_known
    assert math.isinf(left(allowances))


def test_what_is_sent_is_taken_out_and_comes_back_within_the_minute(hundred: Allowances) -> None:
    hundred.take(0, 60, 0.0)
    assert left(hundred) == 40
    assert left(hundred, 30.0) == pytest.approx(90)
    assert left(hundred, 600.0) == 100
    assert hundred.seconds_until(0, 70, 0.0) == pytest.approx(18)
    assert hundred.seconds_until(0, 10, 0.0) == 0
    assert hundred.seconds_until(0, 5_000, 0.0) == pytest.approx(36)  # no more than the whole limit is waited for


def test_what_was_not_used_is_put_back(hundred: Allowances) -> None:
    hundred.take(0, 60, 0.0)
    hundred.settle(0, 60, 20, 0.0)
    assert left(hundred) == 80


def test_the_providers_figure_replaces_ours_less_what_is_still_pending(hundred: Allowances) -> None:
    hundred.take(0, 10, 0.0)
    hundred.take(0, 30, 0.0)  # still on its way when the first one is answered
    hundred.answered(0, 10, Window(1_000, 500, 50.0), 1.0)
    assert left(hundred, 1.0) == 470
    assert left(hundred, 11.0) == pytest.approx(570)
    hundred.answered(0, 30, None, 2.0)
    hundred.answered(0, 0, Window(1_000, 500, 50.0), 2.0)
    assert left(hundred, 2.0) == 500


def test_nothing_is_put_back_once_the_providers_figures_count(hundred: Allowances) -> None:
    hundred.take(0, 60, 0.0)
    hundred.answered(0, 60, Window(100, 40, 36.0), 0.0)
    hundred.settle(0, 60, 20, 0.0)
    assert left(hundred) == 40


def test_a_figure_without_a_limit_is_at_least_a_floor_for_it() -> None:
    allowances = Allowances(1)
    allowances.answered(0, 0, Window(None, 900, None), 0.0)
    assert left(allowances) == 900
    allowances.answered(0, 0, Window(None, 300, None), 0.0)
    assert left(allowances) == 300
    assert float(allowances.limit()[0]) == 900


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(1, 90)), max_size=60))
def test_no_minute_sees_more_than_the_full_bucket_and_what_came_back(
    waits_and_amounts: list[tuple[float, float]],
) -> None:
    allowances = Allowances(1)
    allowances.set_per_minute(0, 100)
    now_s, sent = 0.0, []
    for wait_s, amount in waits_and_amounts:
        now_s += wait_s
        if left(allowances, now_s) >= amount:
            allowances.take(0, amount, now_s)
            sent.append((now_s, amount))
    for start_s, _ in sent:
        assert sum(amount for at_s, amount in sent if start_s <= at_s <= start_s + 60) <= 200 + 1e-6
