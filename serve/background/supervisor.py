"""Runs the background parts of a gateway: starts them in order, restarts one that ends, and closes them in reverse."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from inspect import isawaitable
from types import TracebackType
from typing import Self

from serve.clock import Clock
from serve.metrics import Metrics

_log = logging.getLogger("llmdeal.background")


@dataclass(frozen=True, slots=True)
class BackgroundPart:
    """One part of the gateway that lives as long as the gateway does. Each of the three steps may be absent.

    Args:
        name: Unique name in snake_case; shown in the log, in `/metrics` and in `/readyz`.
        start: Step before the first request; an error here ends the start of the gateway.
        run: Work that goes on until it is cancelled. If it ends by itself, the supervisor calls it again.
        close: Last step, after the work of all parts was cancelled.
    """

    name: str
    start: Callable[[], Awaitable[None] | None] | None = None
    run: Callable[[], Awaitable[None]] | None = None
    close: Callable[[], Awaitable[None] | None] | None = None


@dataclass(frozen=True, slots=True)
class RestartPauses:
    """How long a part that ended waits before it starts again, in seconds.

    Args:
        first_s: Pause after the first end; doubles with each further one, less up to half of it by chance.
        longest_s: Upper limit of the pause.
        steady_s: Running time after which a part counts as healthy again, so that its next pause is the first one.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    steady_s: float = 60.0

    def after(self, former_s: float, lived_s: float) -> float:
        """Return the pause of a part that ran for `lived_s`, and whose pause before that was `former_s` (0: none)."""
        if not former_s or lived_s >= self.steady_s:
            return self.first_s
        return min(2 * former_s, self.longest_s)


class Supervisor:
    """Runs parts for as long as an `async with` block lasts.

    On the way up the parts start one after the other, then the work of all begins. On the way down the work of all is
    cancelled together, then the parts close in reverse order; an error of one does not keep the others open.

    Args:
        parts: Parts in the order in which they start; a part comes after those that it uses.
        metrics: Counter of restarts, and gauge of what runs.
        clock: Monotonic clock; measures how long a part ran.
        pauses: Pauses before a restart.
        sleep: Function that waits for so many seconds.
        jitter: Function that returns a random number in [0, 1).
    """

    def __init__(
        self,
        parts: Iterable[BackgroundPart],
        metrics: Metrics,
        clock: Clock,
        *,
        pauses: RestartPauses | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.parts: dict[str, BackgroundPart] = {}
        for part in parts:
            if part.name in self.parts:
                raise ValueError(f"two background parts are called {part.name!r}")
            self.parts[part.name] = part
        self.start_error: Exception | None = None
        """Error that ended the start of the gateway; None: it has not failed."""
        self._metrics = metrics
        self._clock = clock
        self._pauses = pauses or RestartPauses()
        self._sleep = sleep
        self._jitter = jitter
        self._down: set[str] = set()
        self._opened = AsyncExitStack()

    def down(self) -> list[str]:
        """Return the names of the parts that ended and wait to be started again, in alphabetical order."""
        return sorted(self._down)

    async def __aenter__(self) -> Self:
        """Start every part; if one cannot start, close those before it."""
        async with AsyncExitStack() as opened:
            for part in self.parts.values():
                try:
                    await _take(part.start)
                except Exception as error:
                    self.start_error = error
                    raise
                opened.push_async_callback(_take, part.close)
            tasks = [
                asyncio.create_task(self._keep_running(part.name, part.run), name=part.name)
                for part in self.parts.values()
                if part.run is not None
            ]
            opened.push_async_callback(_cancel, tasks)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel the work of every part, then close every part."""
        await self._opened.aclose()

    async def _keep_running(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        pause_s = 0.0
        self._metrics.note_background(name, is_up=True)
        while True:
            began = self._clock.monotonic()
            error = await _end_of(run)
            pause_s = self._pauses.after(pause_s, self._clock.monotonic() - began)
            wait_s = pause_s * (1 - self._jitter() / 2)
            self._down.add(name)
            self._metrics.note_background(name, is_up=False)
            cause = "it returned" if error is None else f"{type(error).__name__}: {error}"
            _log.error(
                "the background part %s ended (%s); it starts again in %.1f s", name, cause, wait_s, exc_info=error
            )
            await self._sleep(wait_s)
            self._down.discard(name)
            self._metrics.note_background(name, is_up=True)
            self._metrics.note_background_restart(name)


async def _take(step: Callable[[], Awaitable[None] | None] | None) -> None:
    result = step() if step is not None else None
    if isawaitable(result):
        await result


async def _end_of(run: Callable[[], Awaitable[None]]) -> BaseException | None:
    """Run a part until it ends by itself; return its error, or None if it returned."""
    task = asyncio.current_task()
    try:
        await run()
    except asyncio.CancelledError as error:
        # Either the gateway ends, or only something that the part awaits was cancelled.
        if task is None or task.cancelling():
            raise
        return error
    except Exception as error:  # the edge of a part: whatever a collaborator raises, the part starts again
        return error
    return None


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
