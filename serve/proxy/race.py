"""When a stream is slow to begin: ask the next lane as well, and let whichever begins first answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from router.telemetry_schema import Outcome
from serve.dialects.usage_estimate import estimate_usage
from serve.proxy.attempt import Attempt, AttemptFailed
from serve.proxy.attempt_series import AttemptSeries

Answer = TypeVar("Answer")


async def race(
    series: AttemptSeries,
    ask: Callable[[Attempt], Awaitable[Answer]],
    patience_s: float,
    is_racing: bool,
    pause: Callable[[], Awaitable[None]],
) -> Answer:
    """Return the answer that begins first.

    Args:
        series: The lanes, in order.
        ask: Sends an attempt and returns when its answer has begun.
        patience_s: How long to wait for a beginning before the next lane is asked.
        is_racing: Lanes that are slow stay in the race; False: they are given up for the next one.
        pause: Before a lane is tried a second time.

    Raises:
        BadRequestError: A provider says that the request itself is wrong.
        UpstreamError: Every attempted lane failed.
    """
    running: dict[asyncio.Task[Answer], Attempt] = {}
    outcome: Outcome = "superseded"
    is_due = True
    try:
        while True:
            attempt = series.next() if is_due else None
            is_last = is_due and attempt is None
            if attempt is not None:
                if not is_racing:
                    await _give_up(running, outcome)
                running[asyncio.ensure_future(ask(attempt))] = attempt
            elif not running:
                raise series.all_failed()
            done, _ = await asyncio.wait(
                running, timeout=None if is_last else patience_s, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                if task.exception() is None:
                    del running[task]
                    return task.result()
            retried = [series.note_failure(running.pop(task), _failure(task)) for task in done]
            if True in retried:
                await pause()
            is_due = not done or not running
    except asyncio.CancelledError:
        outcome = "client_disconnected"
        raise
    finally:
        await _give_up(running, outcome)


def end_unanswered(attempt: Attempt, outcome: Outcome) -> None:
    """End an attempt whose answer nobody waits for. The provider may have worked on the prompt already, so it is charged as read."""
    attempt.end(outcome, estimate_usage(attempt.call.context.prompt_tokens, 0))


def _failure(task: asyncio.Task[Answer]) -> AttemptFailed:
    error = task.exception()
    if isinstance(error, AttemptFailed):
        return error
    raise error or AssertionError("only failed attempts are asked for their failure")


async def _give_up(running: dict[asyncio.Task[Answer], Attempt], outcome: Outcome) -> None:
    for task in running:
        task.cancel()
    for task, attempt in running.items():
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it as forgotten
        if outcome == "superseded":
            attempt.lane_notes.note_slow(attempt.timing.waited_ms)
        end_unanswered(attempt, outcome)
    running.clear()
