"""A thread whose end is noticed, and that is started again."""

import asyncio
import threading

import pytest

from serve.background.worker_thread import WorkerThread


class Defect(BaseException):
    """What no `except Exception` catches."""


class Work:
    """Fails as often as it is told to, then waits for the end."""

    def __init__(self, n_failures: int) -> None:
        self.n_failures = n_failures
        self.n_runs = 0
        self.is_running = threading.Event()
        self.is_over = threading.Event()

    def run(self) -> None:
        self.n_runs += 1
        if self.n_failures >= self.n_runs:
            raise Defect("the thread's")
        self.is_running.set()
        self.is_over.wait(10)


def test_an_end_by_an_error_is_raised_and_the_next_watch_starts_the_thread_again() -> None:
    async def scenario() -> None:
        work = Work(1)
        thread = WorkerThread("worker", work.run)
        thread.start()
        with pytest.raises(RuntimeError, match="the thread worker ended") as raised:
            await thread.watch()
        assert isinstance(raised.value.__cause__, Defect)
        watching = asyncio.create_task(thread.watch())
        assert await asyncio.to_thread(work.is_running.wait, 5)
        work.is_over.set()
        await thread.finish()
        await watching
        assert work.n_runs == 2

    asyncio.run(scenario())


def test_a_watch_that_is_cancelled_leaves_the_thread_alone() -> None:
    async def scenario() -> None:
        work = Work(0)
        thread = WorkerThread("worker", work.run)
        thread.start()
        watching = asyncio.create_task(thread.watch())
        await asyncio.sleep(0)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        assert await asyncio.to_thread(work.is_running.wait, 5)
        work.is_over.set()
        await thread.finish()
        assert work.n_runs == 1

    asyncio.run(scenario())


def test_what_an_ended_thread_left_is_done_before_the_end() -> None:
    async def scenario() -> None:
        work = Work(1)
        work.is_over.set()
        thread = WorkerThread("worker", work.run)
        thread.start()
        with pytest.raises(RuntimeError):
            await thread.watch()
        await thread.finish()
        assert work.n_runs == 2

    asyncio.run(scenario())


def test_a_thread_that_was_never_started_has_nothing_to_finish() -> None:
    work = Work(0)
    asyncio.run(WorkerThread("worker", work.run).finish())
    assert work.n_runs == 0
