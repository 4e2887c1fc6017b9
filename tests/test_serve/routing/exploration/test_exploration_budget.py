"""A worker's slice of the ceiling: taken in the background, spent at once, given back at the end, or lost with it."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from serve.routing.exploration.exploration_budget import ExplorationBudget
from serve.routing.exploration.repository import ExplorationMonth, ExplorationRepository
from serve.storage.database import open_database

CEILING = 2_000
SLICE = CEILING // 20


@dataclass
class SetClock:
    """A clock that stands until it is told otherwise."""

    instant: datetime = datetime(2026, 11, 30, 22, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(str(tmp_path / "llmdeal.db"))
    yield engine
    engine.dispose()


@pytest.fixture
def repository(engine: Engine) -> ExplorationRepository:
    return ExplorationRepository(engine)


def budget(repository: ExplorationRepository, clock: SetClock, zone: str = "UTC") -> ExplorationBudget:
    return ExplorationBudget(repository, CEILING, ZoneInfo(zone), clock)


def test_nothing_may_be_spent_before_a_slice_is_there(repository: ExplorationRepository) -> None:
    mine = budget(repository, SetClock())
    assert mine.left_nusd() == 0
    asyncio.run(mine.look())
    assert mine.left_nusd() == SLICE


def test_what_was_spent_is_told_and_the_slice_is_filled_up_when_it_runs_low(repository: ExplorationRepository) -> None:
    mine = budget(repository, SetClock())
    asyncio.run(mine.look())
    mine.spend(30)
    asyncio.run(mine.look())
    assert (mine.left_nusd(), mine.month) == (70, ExplorationMonth("2026-11", SLICE, 30, 1))
    mine.spend(40)
    asyncio.run(mine.look())
    assert (mine.left_nusd(), mine.month) == (SLICE, ExplorationMonth("2026-11", 170, 70, 2))


def test_what_is_spent_while_the_database_is_asked_is_not_forgotten(repository: ExplorationRepository) -> None:
    mine = budget(repository, SetClock())

    async def spend_meanwhile() -> None:
        await mine.look()
        looking = asyncio.create_task(mine.look())
        await asyncio.sleep(0)  # the look has begun and waits for the database
        mine.spend(30)
        await looking

    asyncio.run(spend_meanwhile())
    assert mine.left_nusd() == SLICE - 30


def test_what_is_left_goes_back_at_the_end(repository: ExplorationRepository) -> None:
    mine = budget(repository, SetClock())
    asyncio.run(mine.look())
    mine.spend(30)
    asyncio.run(mine.close())
    assert repository.month("2026-11") == ExplorationMonth("2026-11", 30, 30, 1)
    assert mine.left_nusd() == 0


def test_many_workers_and_those_that_are_killed_stay_below_the_ceiling(repository: ExplorationRepository) -> None:
    clock, spent = SetClock(), 0
    for number in range(60):
        worker = budget(repository, clock)
        asyncio.run(worker.look())
        while worker.left_nusd() >= 7 and number % 3:
            worker.spend(7)
            spent += 7
        if number % 2:  # the others are killed
            asyncio.run(worker.close())
        assert spent <= repository.month("2026-11").taken_nusd <= CEILING
    assert budget(repository, clock).left_nusd() == 0


def test_a_new_month_begins_where_the_operator_lives_and_needs_a_slice_of_its_own(
    repository: ExplorationRepository,
) -> None:
    clock = SetClock()
    mine = budget(repository, clock, "Europe/Berlin")
    asyncio.run(mine.look())
    mine.spend(10)
    clock.instant = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    assert mine.left_nusd() == 0
    asyncio.run(mine.look())
    assert mine.left_nusd() == SLICE
    assert repository.month("2026-11") == ExplorationMonth("2026-11", 10, 10, 1)
    assert repository.month("2026-12") == ExplorationMonth("2026-12", SLICE, 0, 0)


def test_a_database_that_is_away_hands_out_nothing_and_is_told_later(
    repository: ExplorationRepository, engine: Engine
) -> None:
    mine = budget(repository, SetClock())
    asyncio.run(mine.look())
    mine.spend(SLICE - 10)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE exploration_month RENAME TO away")
    asyncio.run(mine.look())
    assert mine.left_nusd() == 10
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO exploration_month")
    asyncio.run(mine.look())
    assert mine.month == ExplorationMonth("2026-11", 2 * SLICE - 10, SLICE - 10, 1)
