"""The load: connections that each send the next request as soon as the last answer is complete. Every answer is checked.

A closed loop over raw sockets; one core sends well over 20,000 requests a second, several times what any gateway here answers.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import uvloop

from bench.mock_upstream import STREAM_CHUNKS

_GRACE_S = 30.0
_END_OF_CHUNKS = b"\r\n0\r\n\r\n"
_CHUNK = b"data: "


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send what.

    Args:
        url: Of the endpoint.
        authorization: Value of that header; empty: none is sent.
        bodies: Sent in turn.
        is_streaming: Whether the bodies ask for streams.
        whole_marks: What a whole answer holds.
        end_mark: What stands at the end of a stream.
    """

    url: str
    authorization: str
    bodies: Sequence[bytes]
    is_streaming: bool = False
    whole_marks: tuple[bytes, ...] = (b'"choices"', b'"usage"')
    end_mark: bytes = b"data: [DONE]"

    def requests(self) -> list[bytes]:
        """Return the bytes of each request."""
        parts = urlsplit(self.url)
        head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        if self.authorization:
            head += f"authorization: {self.authorization}\r\n"
        return [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in self.bodies]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What came of it.

    Args:
        seconds: From the first request to the last answer.
        latencies_ms: From the request to the end of its answer, sorted; right answers only.
        errors: What went wrong -> how often.
        first_chunks_ms: From the request to the first chunk of its stream, sorted; right answers only.
        n_chunks: Chunks of streams, right answers only.
    """

    seconds: float
    latencies_ms: list[float]
    errors: Counter[str]
    first_chunks_ms: list[float]
    n_chunks: int

    @property
    def per_second(self) -> float:
        """Right answers per second."""
        return len(self.latencies_ms) / self.seconds

    @property
    def chunks_per_second(self) -> float:
        """Chunks per second."""
        return self.n_chunks / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Return the latency that this share (0..1) of the answers did not exceed; NaN when there was no answer."""
        return _percentile(self.latencies_ms, share)

    def first_chunk_ms(self, share: float) -> float:
        """Return the wait for the first chunk that this share (0..1) of the streams did not exceed; NaN when there was no stream."""
        return _percentile(self.first_chunks_ms, share)


def _percentile(numbers: Sequence[float], share: float) -> float:
    return numbers[min(int(share * len(numbers)), len(numbers) - 1)] if numbers else math.nan


def apply_load(target: Target, connections: int, seconds: float) -> LoadResult:
    """Send as fast as answers come, on so many connections for so long, and wait for the last answers."""
    return uvloop.run(_apply(target, connections, seconds))


async def _apply(target: Target, connections: int, seconds: float) -> LoadResult:
    loop = asyncio.get_running_loop()
    parts = urlsplit(target.url)
    started = perf_counter()
    lines = _Lines(target, started + seconds, loop.create_future(), connections)
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(lines), parts.hostname or "", parts.port or 80)
    try:
        await asyncio.wait_for(lines.all_closed, seconds + _GRACE_S)
    except TimeoutError:
        lines.errors["no answer"] += lines.n_open
    return LoadResult(
        perf_counter() - started, sorted(lines.latencies_ms), lines.errors, sorted(lines.first_chunks_ms), lines.n_chunks
    )


class _Lines:
    """What the connections of one load share."""

    def __init__(self, target: Target, ends_at: float, all_closed: asyncio.Future[None], connections: int) -> None:
        self.requests = target.requests()
        self.target = target
        self.ends_at = ends_at
        self.all_closed = all_closed
        self.n_open = connections
        self.n_sent = 0
        self.latencies_ms: list[float] = []
        self.errors: Counter[str] = Counter()
        self.first_chunks_ms: list[float] = []
        self.n_chunks = 0

    def next_request(self) -> bytes:
        self.n_sent += 1
        return self.requests[self.n_sent % len(self.requests)]

    def note_closed(self) -> None:
        self.n_open -= 1
        if self.n_open == 0 and not self.all_closed.done():
            self.all_closed.set_result(None)


class _Connection(asyncio.Protocol):
    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._parts: list[bytes] = []
        self._n_bytes = 0
        self._n_expected: int | None = None
        self._sent = 0.0
        self._is_waiting = False
        self._first_chunk: float | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        if not self._parts:
            self._n_expected = _length_of(data)
        self._parts.append(data)
        self._n_bytes += len(data)
        if self._first_chunk is None and self._lines.target.is_streaming and _CHUNK in data:
            self._first_chunk = now
        if self._n_expected is None:
            tail = data if len(data) >= len(_END_OF_CHUNKS) else b"".join(self._parts[-len(_END_OF_CHUNKS) :])
            is_complete = tail.endswith(_END_OF_CHUNKS)
        else:
            is_complete = self._n_bytes >= self._n_expected
        if is_complete:
            self._note_answer(now)
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_waiting:
            self._lines.errors["connection lost"] += 1
        self._lines.note_closed()

    def _send(self) -> None:
        self._parts.clear()
        self._n_bytes = 0
        self._is_waiting = False
        now = perf_counter()
        if now >= self._lines.ends_at:
            self._transport.close()
            return
        self._is_waiting = True
        self._first_chunk = None
        self._sent = now
        self._transport.write(self._lines.next_request())

    def _note_answer(self, now: float) -> None:
        answer = b"".join(self._parts)
        problem = _problem_with(answer, self._lines.target)
        lines = self._lines
        if problem is not None:
            lines.errors[problem] += 1
            return
        lines.latencies_ms.append((now - self._sent) * 1_000)
        if self._first_chunk is not None:
            lines.first_chunks_ms.append((self._first_chunk - self._sent) * 1_000)
            lines.n_chunks += answer.count(_CHUNK)


def _length_of(first_bytes: bytes) -> int | None:
    """Return the length of the whole response, or None where it comes in chunks. The head comes in one piece from all we measure."""
    head, separator, _ = first_bytes.partition(b"\r\n\r\n")
    _, named, rest = head.lower().partition(b"\r\ncontent-length:")
    return len(head) + len(separator) + int(rest.partition(b"\r\n")[0]) if named else None


def _problem_with(answer: bytes, target: Target) -> str | None:
    if not answer.startswith(b"HTTP/1.1 200 "):
        return "status " + answer[9:12].decode("latin-1")
    if target.is_streaming:
        # A gateway may say more than the provider did (its own usage, say), never less.
        is_whole = answer.count(_CHUNK) > STREAM_CHUNKS - 2 and target.end_mark in answer
        return None if is_whole else "incomplete stream"
    return None if all(mark in answer for mark in target.whole_marks) else "not an answer"
