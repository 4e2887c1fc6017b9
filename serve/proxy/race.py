"""When a stream is slow to begin, the next lane is asked too, and the stream that begins first answers."""

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
        series: Attempts of the call.
        ask: Function that sends an attempt and returns when its answer has begun.
        patience_s: Seconds to wait for a beginning before the next lane is asked.
        is_racing: Whether slow lanes stay in the race; False: they are given up for the next one.
        pause: Function that waits before a lane is tried a second time.

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
    """End an attempt without its answer. The provider may have read the prompt already, so the prompt is charged."""
    attempt.end(outcome, estimate_usage(attempt.call.context.prompt_tokens, 0))


def _failure(task: asyncio.Task[Answer]) -> AttemptFailed:
    error = task.exception()
    if isinstance(error, AttemptFailed):
        return error
    raise error or AssertionError("the task has not failed")


async def _give_up(running: dict[asyncio.Task[Answer], Attempt], outcome: Outcome) -> None:
    for task in running:
        task.cancel()
    for task, attempt in running.items():
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # read, so that asyncio does not log it as never retrieved
        if outcome == "superseded":
            attempt.lane_notes.note_slow(attempt.timing.waited_ms)
        end_unanswered(attempt, outcome)
    running.clear()
