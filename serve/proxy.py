"""The use case: send an admitted call to its lane, go on to the next one while nothing has reached the caller, settle, log."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from router.price_table import Cost, TokenUsage
from router.reason import Reason
from router.telemetry_schema import Outcome
from serve.call import Call
from serve.clock import Clock
from serve.dialects.exchange import Bill, StreamRelay
from serve.dialects.openai.usage import estimate_usage
from serve.errors import AttemptSummary, BadRequestError, UpstreamError
from serve.explanation import explain
from serve.upstream.attempt import Attempt, AttemptFailed, AttemptObserver
from serve.upstream.transport import TransportError
from serve.upstream.verdict import NOT_AN_ANSWER, STREAM_BROKEN

_RETRY_PAUSE_S = 0.05
_DRAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class ProxyLimits:
    """How hard the proxy tries.

    Args:
        max_attempts: Upstream calls per request, retries and fallbacks together.
        connect_retries: Second tries on one lane when no connection was made.
    """

    max_attempts: int = 4
    connect_retries: int = 1


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An unstreamed answer, ready for the caller."""

    attempt: Attempt
    body: dict[str, Any]
    cost: Cost


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """A stream whose first bytes have come. Whoever holds it iterates `events` to the end, or closes it."""

    attempt: Attempt
    events: AsyncGenerator[bytes, None]


class ChatProxy:
    """Answers chat calls.

    Args:
        clock: For durations and dates.
        observer: Told of every attempt.
        limits: How hard to try.
        jitter: Returns numbers in [0, 1), for the pauses before retries.
    """

    def __init__(self, clock: Clock, observer: AttemptObserver, limits: ProxyLimits, jitter: random.Random) -> None:
        self._clock = clock
        self._observer = observer
        self._limits = limits
        self._jitter = jitter

    async def answer(self, call: Call) -> WholeAnswer | StreamedAnswer:
        """Return the first lane's answer that is one.

        Raises:
            BadRequestError: The provider says that the request itself is wrong.
            UpstreamError: Every attempted lane failed; lists them.
        """
        failures: list[AttemptSummary] = []
        last: AttemptFailed | None = None
        plan = _LanePlan(call, self._limits)
        for row in plan:
            attempt = Attempt(call, row, len(failures), _reason(call, last), self._clock, self._observer)
            try:
                return await (self._stream(attempt) if call.is_streaming else self._whole(attempt))
            except AttemptFailed as failure:
                last = failure
                lane_id = call.decision.table.lanes[row].lane_id
                if not failure.verdict.may_fall_back:
                    raise _callers_fault(failure, lane_id) from None
                failures.append(AttemptSummary(lane_id, failure.status, failure.verdict.outcome))
                if plan.retries(failure):
                    await asyncio.sleep(_RETRY_PAUSE_S * (1 + self._jitter.random()))
            except asyncio.CancelledError:
                # The provider may have worked on the prompt already, so it is charged as read.
                attempt.end("client_disconnected", estimate_usage(call.context.prompt_tokens, 0))
                raise
        raise _all_failed(failures, last)

    async def _whole(self, attempt: Attempt) -> WholeAnswer:
        call = attempt.call
        raw = await attempt.read(await attempt.open())
        try:
            reply = attempt.exchange.read_whole(raw, call.context.prompt_tokens, call.connection(attempt.row).quirks)
        except ValueError as error:
            raise attempt.failed(NOT_AN_ANSWER, str(error)) from None
        attempt.finish_reason = reply.finish_reason
        attempt.answer_text = reply.text
        bill = _bill(attempt, reply.usage)
        body = reply.body(bill)
        attempt.end("ok", reply.usage)
        return WholeAnswer(attempt, body, bill.cost)

    async def _stream(self, attempt: Attempt) -> StreamedAnswer:
        call = attempt.call
        quirks = call.connection(attempt.row).quirks
        relay = attempt.exchange.relay(call.context.prompt_tokens, partial(_bill, attempt), quirks)
        response = await attempt.open()
        chunks = response.chunks()
        try:
            first = relay.feed(await attempt.first_chunk(chunks))
        except ValueError as error:
            raise attempt.failed(STREAM_BROKEN, str(error)) from None
        if relay.error is not None and not relay.has_content:
            raise attempt.failed(NOT_AN_ANSWER, "the stream began with an error")
        return StreamedAnswer(attempt, _relay_events(attempt, relay, first, chunks))


def _bill(attempt: Attempt, usage: TokenUsage) -> Bill:
    """Return what is added to the answer; the explanation only where the caller asked for it."""
    return Bill(attempt.cost_of(usage), explain(attempt.call, attempt) if attempt.call.routing.is_explained else None)


async def _relay_events(
    attempt: Attempt, relay: StreamRelay, first: bytes, chunks: AsyncIterator[bytes]
) -> AsyncGenerator[bytes, None]:
    """Yield what the caller sees; settles and logs at the end, also when the caller goes away in between."""
    outcome: Outcome = "client_disconnected"
    try:
        if first:
            yield first
        while not relay.is_done and relay.error is None and (chunk := await anext(chunks, None)):
            if out := relay.feed(chunk):
                yield out
        if relay.is_complete:
            outcome = "ok"
            yield relay.finish()
            await _drain(chunks)
        else:
            outcome = "broken_stream"
            yield _broken(relay)
    except (TransportError, ValueError) as error:
        outcome = "broken_stream"
        attempt.error_code = type(error).__name__
        yield _broken(relay)
    finally:
        attempt.finish_reason = relay.finish_reason
        attempt.end(outcome, relay.usage)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read what follows the end of the answer, nothing as a rule, so that the connection can be used again."""
    with suppress(TimeoutError, TransportError):
        async with asyncio.timeout(_DRAIN_S):
            async for _ in chunks:
                pass


def _broken(relay: StreamRelay) -> bytes:
    return relay.break_off("The provider's stream broke before its end; what came so far was charged.", "stream_broken")


class _LanePlan:
    """Which lane comes next: the decision's order, with a second try on a lane that could not be reached."""

    def __init__(self, call: Call, limits: ProxyLimits) -> None:
        self._rows: Iterator[int] = iter(call.decision.order if call.routing.may_fall_back else call.decision.order[:1])
        self._health = call.directory.health
        self._attempts_left = limits.max_attempts
        self._retries_left = limits.connect_retries
        self._row: int | None = None
        self._is_retry = False

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        if self._attempts_left == 0:
            raise StopIteration
        self._attempts_left -= 1
        if self._is_retry and self._row is not None:
            self._is_retry = False
            return self._row
        self._row = next(row for row in self._rows if self._row is None or not self._health.is_cooling(row))
        return self._row

    def retries(self, failure: AttemptFailed) -> bool:
        """Return whether the same lane is tried again after this failure."""
        self._is_retry = failure.verdict.outcome == "connect_error" and self._retries_left > 0
        if self._is_retry:
            self._retries_left -= 1
        return self._is_retry


def _reason(call: Call, last: AttemptFailed | None) -> Reason:
    if last is None:
        return call.decision.reason
    return Reason.FALLBACK_RATE_LIMITED if last.verdict.outcome == "rate_limited" else Reason.FALLBACK_ERROR


def _callers_fault(failure: AttemptFailed, lane_id: str) -> BadRequestError:
    error = BadRequestError(f"{lane_id} refused the request: {failure.message}", code="upstream_refused_request")
    error.status = failure.status or 400
    return error


def _all_failed(failures: list[AttemptSummary], last: AttemptFailed | None) -> UpstreamError:
    listed = ", ".join(f"{failure.lane}: {failure.outcome}" for failure in failures)
    timed_out = bool(failures) and all(failure.outcome == "timeout" for failure in failures)
    retry_after_s = None if last is None or last.retry_after_s is None else int(last.retry_after_s) + 1
    return UpstreamError(
        f"every attempted lane failed ({listed})",
        failures,
        status=504 if timed_out else 502,
        code="upstream_timeout" if timed_out else None,
        retry_after_s=retry_after_s,
    )
