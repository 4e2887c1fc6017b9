"""The use case: send an admitted call to its lane; while nothing has reached the caller, go on to the next lane."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from router.price_table import Cost, TokenUsage
from router.telemetry_schema import Outcome
from serve.clock import Clock
from serve.dialects.exchange import Bill, StreamRelay
from serve.proxy.attempt import Attempt, AttemptFailed, AttemptObserver
from serve.proxy.attempt_series import AttemptSeries, ProxyLimits
from serve.proxy.explanation import explain
from serve.proxy.race import end_unanswered, race
from serve.proxy.refusal_judge import RefusalJudge
from serve.proxy.stream_beginning import StreamBeginning
from serve.proxy.upstream_answer import MOST_KEPT_PIECES
from serve.routing.call import Call
from serve.upstream.transport import TransportError, UpstreamResponse

_RETRY_PAUSE_S = 0.05
_DRAIN_S = 0.2
_CHUNKS_BETWEEN_NOTES = 64
_MOST_JUDGED_BYTES = 64 * 1024
_LONGEST_SILENCE_S = 10.0
"""Seconds after the first bytes of a stream in which a provider may still fail without the caller seeing it. After
that the caller gets what came: a line that stays silent for long is cut by proxies and clients."""


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An unstreamed answer, ready for the caller."""

    attempt: Attempt
    body: dict[str, Any]
    cost: Cost


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """A stream whose first bytes have come. Its owner iterates `pieces` to the end, or closes it.

    Args:
        attempt: Attempt that answered.
        pieces: Bytes for the caller, each piece with whether it is the last; the first comes at once, and may be empty.
    """

    attempt: Attempt
    pieces: AsyncGenerator[tuple[bytes, bool], None]


class ChatProxy:
    """Answers chat calls.

    Args:
        clock: Clock for durations and dates.
        observer: Observer of every attempt.
        limits: Limits on the attempts.
        jitter: Random generator for the pauses before retries.
        judge: Judge of refusals; None: the status alone is judged.
        keeps_streams: Whether the pieces of streams are kept for the observer.
    """

    def __init__(
        self,
        clock: Clock,
        observer: AttemptObserver,
        limits: ProxyLimits,
        jitter: random.Random,
        judge: RefusalJudge | None = None,
        *,
        keeps_streams: bool = False,
    ) -> None:
        self._keeps_streams = keeps_streams
        self._clock = clock
        self._observer = observer
        self._limits = limits
        self._jitter = jitter
        self._judge = judge

    async def answer(self, call: Call) -> WholeAnswer | StreamedAnswer:
        """Return the answer of the first lane that gives one.

        Raises:
            BadRequestError: The provider says that the request itself is wrong.
            UpstreamError: Every attempted lane failed; the error lists them.
        """
        series = AttemptSeries(call, self._limits, self._clock, self._observer, self._judge)
        if call.is_streaming and self._limits.first_token_patience_s is not None:
            return await race(
                series, self._stream, self._limits.first_token_patience_s, self._limits.is_racing, self._pause
            )
        while (attempt := series.next()) is not None:
            try:
                return await (self._stream(attempt) if call.is_streaming else self._whole(attempt))
            except AttemptFailed as failure:
                if series.note_failure(attempt, failure):
                    await self._pause()
            except asyncio.CancelledError:
                end_unanswered(attempt, "client_disconnected")
                raise
        raise series.all_failed()

    async def _pause(self) -> None:
        await asyncio.sleep(_RETRY_PAUSE_S * (1 + self._jitter.random()))

    async def _whole(self, attempt: Attempt) -> WholeAnswer:
        call = attempt.call
        raw = await attempt.read(await attempt.open())
        try:
            reply = attempt.exchange.read_whole(
                raw, call.context.prompt_tokens, call.connection(attempt.row).quirks, call.inquiry
            )
        except ValueError as error:
            raise attempt.failed_inside(raw[:_MOST_JUDGED_BYTES].decode("utf-8", "replace"), str(error)) from error
        attempt.answer.finish_reason = reply.finish_reason
        attempt.answer.text = reply.text
        attempt.answer.raw = raw
        bill = _bill(attempt, reply.usage)
        body = reply.body(bill)
        attempt.end("ok", reply.usage)
        return WholeAnswer(attempt, body, bill.cost)

    async def _stream(self, attempt: Attempt) -> StreamedAnswer:
        call = attempt.call
        quirks = call.connection(attempt.row).quirks
        exchange, prompt_tokens, settle = attempt.exchange, call.context.prompt_tokens, partial(_bill, attempt)
        relay = exchange.relay(prompt_tokens, settle, quirks, call.inquiry)
        response = await attempt.open()
        patience_s = None if self._limits.first_token_patience_s is not None else _LONGEST_SILENCE_S
        beginning = StreamBeginning(
            attempt,
            relay,
            lambda raw: exchange.relay_whole(raw, prompt_tokens, settle, quirks, call.inquiry),
            response.chunks(),
            patience_s,
            keeps_pieces=self._keeps_streams,
        )
        first = await beginning.read()
        return StreamedAnswer(attempt, _relay_pieces(attempt, beginning.relay, first, response, beginning.rest()))


def _bill(attempt: Attempt, usage: TokenUsage) -> Bill:
    """Return what is added to the answer; the explanation only if the caller asked for it."""
    return Bill(
        attempt.money.cost_of(usage), explain(attempt.call, attempt) if attempt.call.routing.is_explained else None
    )


async def _relay_pieces(
    attempt: Attempt, relay: StreamRelay, first: bytes, response: UpstreamResponse, chunks: AsyncIterator[bytes]
) -> AsyncGenerator[tuple[bytes, bool], None]:
    """Yield the pieces for the caller. The attempt ends with them, also when the caller goes away in between."""
    outcome: Outcome = "client_disconnected"
    try:
        out = first
        n_chunks = 0
        kept = attempt.answer.raw if isinstance(attempt.answer.raw, list) else None
        while not relay.is_done and relay.error is None:
            if out or n_chunks == 0:
                yield out, False
            chunk = await anext(chunks, b"")
            out = relay.feed(chunk) if chunk else b""
            if not chunk:
                break
            if kept is not None and n_chunks < MOST_KEPT_PIECES - 1:
                kept.append(chunk)
            n_chunks += 1
            if n_chunks % _CHUNKS_BETWEEN_NOTES == 0:
                attempt.money.note_progress(relay.usage)
        if relay.is_complete:
            outcome = "ok"
            # Sent together with the last piece: each piece is a packet and a system call.
            is_over = response.is_over
            yield out + relay.finish(), is_over
            if not is_over:
                await _drain(chunks)
                yield b"", True
        else:
            outcome = "broken_stream"
            yield _shown(attempt, relay, out) + _broken(relay), True
    except (TransportError, ValueError) as error:
        outcome = "broken_stream"
        attempt.error_code = type(error).__name__
        yield _broken(relay), True
    finally:
        attempt.answer.finish_reason = relay.finish_reason
        attempt.end(outcome, relay.usage)


def _shown(attempt: Attempt, relay: StreamRelay, out: bytes) -> bytes:
    """Return the bytes for the caller; redacted if the provider sent an error, which may quote its key."""
    return out if relay.error is None else attempt.redacted(out.decode("utf-8", "replace")).encode()


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read what follows the end of the answer, so that the connection can be used again. It is usually nothing."""
    with suppress(TimeoutError, TransportError):
        async with asyncio.timeout(_DRAIN_S):
            async for _ in chunks:
                pass


def _broken(relay: StreamRelay) -> bytes:
    return relay.break_off("The provider's stream broke before its end; what came so far was charged.", "stream_broken")
