"""One supervisor for the background parts: order, restarts with growing pauses, and what can be seen of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from serve.background.supervisor import BackgroundPart, RestartPauses, Supervisor
from serve.metrics import Metrics


class HandClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 30, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


class Pauses:
    """Sleeps only when the test says so, and remembers for how long it was asked to."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._wake = asyncio.Event()
        self._asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        self._asleep.set()
        await self._wake.wait()
        self._wake.clear()

    async def until_asleep(self) -> None:
        await asyncio.wait_for(self._asleep.wait(), 5)
        self._asleep.clear()

    def wake(self) -> None:
        self._wake.set()


class Failing:
    """Raises the errors that it is given, one a run; then runs until it is cancelled."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.n_runs = 0
        self.runs = asyncio.Event()
        self.lives: Callable[[], Awaitable[None]] | None = None

    async def run(self) -> None:
        self.n_runs += 1
        if self.lives is not None:
            await self.lives()
        if self.errors:
            raise self.errors.pop(0)
        self.runs.set()
        await asyncio.Event().wait()


def value(metrics: Metrics, name: str, part: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"part": part})


def test_parts_start_in_order_and_close_in_reverse_after_all_work_was_cancelled() -> None:
    events: list[str] = []

    def part(name: str) -> BackgroundPart:
        async def start() -> None:
            events.append(f"start {name}")

        async def run() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                events.append(f"cancel {name}")

        return BackgroundPart(name, start, run, lambda: events.append(f"close {name}"))

    async def scenario() -> None:
        async with Supervisor([part("a"), part("b")], Metrics(), HandClock()):
            await asyncio.sleep(0)
            assert events == ["start a", "start b"]

    asyncio.run(scenario())
    assert events == ["start a", "start b", "cancel a", "cancel b", "close b", "close a"]


def test_a_part_that_cannot_start_closes_those_before_it_and_is_named() -> None:
    events: list[str] = []

    def fail() -> None:
        raise OSError("the disk is full")

    parts = [
        BackgroundPart("first", close=lambda: events.append("close first")),
        BackgroundPart("second", start=fail, close=lambda: events.append("close second")),
        BackgroundPart("third", start=lambda: events.append("start third")),
    ]
    supervisor = Supervisor(parts, Metrics(), HandClock())

    async def scenario() -> None:
        with pytest.raises(OSError, match="the disk is full"):
            async with supervisor:
                pass

    asyncio.run(scenario())
    assert events == ["close first"]
    assert str(supervisor.start_error) == "the disk is full"


def test_an_error_while_one_part_closes_does_not_keep_the_others_open() -> None:
    events: list[str] = []

    def fail() -> None:
        raise RuntimeError("cannot close")

    async def scenario() -> None:
        parts = [BackgroundPart("first", close=lambda: events.append("close first")), BackgroundPart("b", close=fail)]
        with pytest.raises(RuntimeError, match="cannot close"):
            async with Supervisor(parts, Metrics(), HandClock()):
                pass

    asyncio.run(scenario())
    assert events == ["close first"]


@pytest.mark.parametrize("error", [RuntimeError("broken"), None, asyncio.CancelledError()], ids=repr)
def test_a_part_that_ends_is_named_counted_and_started_again(
    error: BaseException | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        pauses, metrics, failing = Pauses(), Metrics(), Failing(*([] if error is None else [error]))
        returns = iter([error is None])

        async def run() -> None:
            if next(returns, False):
                return
            await failing.run()

        parts = [BackgroundPart("worker", run=run), BackgroundPart("other", run=Failing().run)]
        supervisor = Supervisor(parts, metrics, HandClock(), sleep=pauses.sleep, jitter=lambda: 0.5)
        async with supervisor:
            await pauses.until_asleep()
            assert supervisor.down() == ["worker"]
            assert value(metrics, "llmdeal_background_up", "worker") == 0
            assert value(metrics, "llmdeal_background_up", "other") == 1
            assert value(metrics, "llmdeal_background_restarts_total", "worker") == 0
            pauses.wake()
            await asyncio.wait_for(failing.runs.wait(), 5)
            assert supervisor.down() == []
            assert value(metrics, "llmdeal_background_up", "worker") == 1
            assert value(metrics, "llmdeal_background_restarts_total", "worker") == 1
            assert value(metrics, "llmdeal_background_restarts_total", "other") == 0
        assert pauses.asked == [0.375]

    with caplog.at_level(logging.ERROR, "llmdeal.background"):
        asyncio.run(scenario())
    [record] = caplog.records
    assert "the background part worker ended" in record.getMessage()
    assert ("it returned" if error is None else type(error).__name__) in record.getMessage()
    assert error is None or (record.exc_info is not None and record.exc_info[1] is error)


def test_pauses_double_up_to_a_limit_and_begin_again_after_a_steady_run() -> None:
    async def scenario() -> None:
        clock, pauses = HandClock(), Pauses()
        failing = Failing(*(RuntimeError(str(number)) for number in range(6)))

        async def live() -> None:
            clock.seconds += 60.0 if failing.n_runs == 5 else 1.0

        failing.lives = live
        parts = [BackgroundPart("worker", run=failing.run)]
        times = RestartPauses(first_s=1.0, longest_s=5.0, steady_s=60.0)
        async with Supervisor(parts, Metrics(), clock, pauses=times, sleep=pauses.sleep, jitter=lambda: 0.0):
            for _ in range(6):
                await pauses.until_asleep()
                pauses.wake()
            await asyncio.wait_for(failing.runs.wait(), 5)
        assert pauses.asked == [1.0, 2.0, 4.0, 5.0, 1.0, 2.0]

    asyncio.run(scenario())


def test_the_gateway_can_end_while_a_part_waits_to_be_started_again() -> None:
    async def scenario() -> None:
        pauses, closed = Pauses(), asyncio.Event()
        part = BackgroundPart("worker", run=Failing(RuntimeError("broken")).run, close=closed.set)
        async with Supervisor([part], Metrics(), HandClock(), sleep=pauses.sleep):
            await pauses.until_asleep()
        assert closed.is_set()

    asyncio.run(scenario())


def test_two_parts_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two background parts are called 'worker'"):
        Supervisor([BackgroundPart("worker"), BackgroundPart("worker")], Metrics(), HandClock())
