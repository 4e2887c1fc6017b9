"""Every database must keep exploration below its ceiling, in whatever order the workers take their slices."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from serve.routing.exploration.repository import ExplorationMonth, ExplorationRepository, Tally

MONTH, CEILING = "2026-11", 1_000
NOTHING = Tally()


@pytest.fixture
def months(engine: Engine) -> ExplorationRepository:
    return ExplorationRepository(engine)


def test_a_month_in_which_nothing_happened_is_all_zero(months: ExplorationRepository) -> None:
    assert months.month(MONTH) == ExplorationMonth(MONTH, 0, 0, 0)


def test_slices_are_handed_out_until_the_ceiling_and_come_back(months: ExplorationRepository) -> None:
    assert [months.exchange(MONTH, NOTHING, 400, CEILING) for _ in range(4)] == [400, 400, 200, 0]
    assert months.exchange(MONTH, Tally(spent_nusd=250, n_explored=3, returned_nusd=150), 0, CEILING) == 0
    assert months.month(MONTH) == ExplorationMonth(MONTH, 850, 250, 3)
    assert months.exchange(MONTH, NOTHING, 400, CEILING) == 150


def test_a_ceiling_that_was_lowered_hands_out_nothing_more_and_months_are_apart(months: ExplorationRepository) -> None:
    months.exchange(MONTH, NOTHING, 400, CEILING)
    assert months.exchange(MONTH, NOTHING, 400, 300) == 0
    assert months.exchange("2026-12", NOTHING, 400, 300) == 300
    assert months.month(MONTH).taken_nusd == 400


@pytest.mark.slow
def test_many_writers_at_once_take_no_more_than_the_ceiling(new_url: str, open_engine: Callable[[str], Engine]) -> None:
    taken: list[int] = []

    def work(repository: ExplorationRepository) -> None:
        for step in range(12):
            given = repository.exchange(MONTH, NOTHING, 90, CEILING)
            back = given // 3 if step % 2 else 0
            if back:
                repository.exchange(MONTH, Tally(given - back, 1, back), 0, CEILING)
            taken.append(given - back)

    workers = [threading.Thread(target=work, args=(ExplorationRepository(open_engine(new_url)),)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(taken) == CEILING == ExplorationRepository(open_engine(new_url)).month(MONTH).taken_nusd


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 1)), max_size=12), st.integers(1, 10**6))
def test_any_order_of_taking_and_returning_stays_below_the_ceiling(
    months: ExplorationRepository, steps: list[tuple[int, float]], number: int
) -> None:
    period, held = f"{number}", 0
    before = months.month(period).taken_nusd
    for wanted, share in steps:
        given = months.exchange(period, NOTHING, wanted, CEILING)
        back = int(given * share)
        months.exchange(period, Tally(given - back, 1, back), 0, CEILING)
        held += given - back
        assert months.month(period).taken_nusd == before + held <= CEILING
