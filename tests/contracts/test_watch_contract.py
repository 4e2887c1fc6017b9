"""What every database must do with what the watch learned: kept, shared, written by one worker at a time."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from serve.alerts.watch_repository import Alarm, WatchRepository

FIRST, LANES = ("feedback", "", ""), ("lanes", "acme", "base+12345678")
ALARM = Alarm("acme", "price", "p/a", 7_000_000, 50.0, 20.0, "It changed.")


@pytest.fixture
def watch(engine: Engine) -> WatchRepository:
    return WatchRepository(engine)


def test_states_and_alarms_are_saved_together_and_read_back(watch: WatchRepository) -> None:
    assert watch.state(LANES) is None
    assert watch.save(FIRST, 0, {FIRST: {"n": 1}, LANES: {"shift": [0.5, None]}}, 5, [ALARM, ALARM])
    stored = watch.state(LANES)
    assert stored is not None
    assert (stored.value, stored.revision, stored.updated_at_us) == ({"shift": [0.5, None]}, 1, 5)
    assert watch.save(FIRST, 1, {FIRST: {"n": 2}, LANES: {"shift": []}}, 9)
    assert {name: state.value for name, state in watch.states("lanes").items()} == {LANES: {"shift": []}}
    assert watch.states("lanes", since_us=10) == {}
    assert watch.states("lanes", account="other") == {}
    assert watch.alarms(0, "acme") == [ALARM]
    assert watch.alarms(8_000_000) == []


def test_a_worker_that_read_an_older_state_saves_nothing(watch: WatchRepository) -> None:
    watch.save(FIRST, 0, {FIRST: {"n": 1}}, 5)
    for stale in (0, 7):
        assert not watch.save(FIRST, stale, {FIRST: {"n": 9}, LANES: {}}, 6, [ALARM])
    assert watch.state(LANES) is None
    assert watch.alarms(0) == []


@pytest.mark.slow
def test_of_workers_that_read_the_same_state_one_saves(new_url: str, open_engine: Callable[[str], Engine]) -> None:
    repositories = [WatchRepository(open_engine(new_url)) for _ in range(4)]
    saved: list[int] = []

    def work(number: int) -> None:
        repository = repositories[number]
        for step in range(10):
            state = repository.state(FIRST)
            if repository.save(FIRST, 0 if state is None else state.revision, {FIRST: {"by": number}}, step):
                saved.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = repositories[0].state(FIRST)
    assert last is not None
    assert last.revision == len(saved) >= 10
