"""The beginning of a stream: what comes before the answer's first content is no beginning, so another lane can answer.

Comments, pings, chunks with a role alone and errors are no content.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from serve.dialects.exchange import StreamRelay
from serve.proxy.attempt import MAX_ANSWER_BYTES, Attempt
from serve.proxy.verdict import STREAM_BROKEN
from serve.upstream.transport import TransportError

_MOST_JUDGED_BYTES = 64 * 1024


class StreamBeginning:
    """Reads one stream until its first content.

    Args:
        attempt: Attempt that opened the stream.
        relay: Relay of the stream.
        relay_whole: Function that makes a stream of a whole answer, which some servers send instead of one.
        chunks: Bytes of the provider.
        patience_s: Seconds after the first bytes until the stream counts as begun, whatever came; None: no limit.
        keeps_pieces: Whether the pieces are kept for the observer.
    """

    def __init__(
        self,
        attempt: Attempt,
        relay: StreamRelay,
        relay_whole: Callable[[bytes], StreamRelay],
        chunks: AsyncIterator[bytes],
        patience_s: float | None,
        *,
        keeps_pieces: bool,
    ) -> None:
        self._attempt = attempt
        self.relay = relay
        self._relay_whole = relay_whole
        self._chunks = chunks
        self._patience_s = patience_s
        self._pieces: list[bytes] = []
        self._next: asyncio.Task[bytes] | None = None
        if keeps_pieces:
            attempt.answer.raw = self._pieces

    async def read(self) -> bytes:
        """Return the bytes for the caller up to the first content, or to the end of an answer without content.

        Raises:
            AttemptFailed: The stream ended or failed before it said anything. The attempt has ended.
        """
        attempt, relay = self._attempt, self.relay
        try:
            chunk = await anext(self._chunks, b"")
            if self._attempt.answer.headers.get("content-type", "").startswith("application/json"):
                return await self._read_whole(chunk)
            out = self._feed(chunk)
            if not relay.has_content and not relay.is_done and relay.error is None:
                out += await self._until_content()
        except TransportError as error:
            raise attempt.transport_failed(error) from error
        except ValueError as error:
            raise attempt.failed(STREAM_BROKEN, str(error)) from error
        if relay.error is not None and not relay.has_content:
            raise attempt.failed_inside(relay.error, "the stream began with an error")
        attempt.timing.note_first_byte()
        return out

    async def _read_whole(self, first: bytes) -> bytes:
        """Read a body that is JSON: a whole answer, or an error. An answer becomes a stream."""
        pieces, size = [first], len(first)
        while size <= MAX_ANSWER_BYTES and (chunk := await anext(self._chunks, b"")):
            pieces.append(chunk)
            size += len(chunk)
        raw = b"".join(pieces)
        try:
            self.relay = self._relay_whole(raw)
        except ValueError as error:
            text = raw[:_MOST_JUDGED_BYTES].decode("utf-8", "replace")
            raise self._attempt.failed_inside(text, str(error)) from error
        self._attempt.answer.raw = raw
        self._attempt.timing.note_first_byte()
        return b""

    def rest(self) -> AsyncIterator[bytes]:
        """Return the bytes of the provider that come after the beginning."""
        return self._chunks if self._next is None else _resumed(self._next, self._chunks)

    async def _until_content(self) -> bytes:
        relay, out = self.relay, b""
        deadline = None if self._patience_s is None else asyncio.get_running_loop().time() + self._patience_s
        while not relay.has_content and not relay.is_done and relay.error is None:
            chunk = await self._await_next(deadline)
            if chunk is None:
                return out
            if not chunk:
                return out + self._end()
            out += self._feed(chunk)
        return out

    async def _await_next(self, deadline: float | None) -> bytes | None:
        """Return the next bytes, or none at the end; None: the deadline passed, and they are still awaited."""
        if deadline is None:
            return await anext(self._chunks, b"")
        self._next = asyncio.ensure_future(_next_of(self._chunks))
        self._next.add_done_callback(_retrieve)
        timeout_s = max(deadline - asyncio.get_running_loop().time(), 0.0)
        try:
            done, _ = await asyncio.wait([self._next], timeout=timeout_s)
        except asyncio.CancelledError:
            self._next.cancel()
            raise
        if not done:
            return None
        task, self._next = self._next, None
        return task.result()

    def _feed(self, chunk: bytes) -> bytes:
        if not chunk:
            return self._end()
        self._pieces.append(chunk)
        return self.relay.feed(chunk)

    def _end(self) -> bytes:
        """Return the rest of a stream that ended. An answer may be empty, but it has to say that it is complete."""
        out = self.relay.feed(b"\n\n") if self._pieces else b""
        if self.relay.has_content or self.relay.is_complete or self.relay.error is not None:
            return out
        text = b"".join(self._pieces)[:_MOST_JUDGED_BYTES].decode("utf-8", "replace")
        raise self._attempt.failed_inside(text, "the stream ended before it said anything", STREAM_BROKEN)


async def _next_of(chunks: AsyncIterator[bytes]) -> bytes:
    return await anext(chunks, b"")


async def _resumed(awaited: asyncio.Task[bytes], chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the bytes that were awaited already, then all others."""
    try:
        chunk = await awaited
    finally:
        awaited.cancel()
    if chunk:
        yield chunk
        async for later in chunks:
            yield later


def _retrieve(awaited: asyncio.Task[bytes]) -> None:
    """Read the error of a task that nobody may await any more, so that asyncio does not log it."""
    if not awaited.cancelled():
        awaited.exception()
