"""The load: as fast as answers come (`apply_load`), or at random moments (`apply_arrivals`).

Every answer is checked. It uses raw sockets: one core sends well over 20,000 requests per second, several times more
than any gateway here can answer.
"""

import asyncio
import math
import random
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import uvloop

from bench.mock_upstream import STREAM_CHUNKS

_GRACE_S = 30.0
_ARRIVING_CONNECTIONS = 128
_TIMER_S = 0.002
_END_OF_CHUNKS = b"\r\n0\r\n\r\n"
_CHUNK = b"data: "


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint, and the requests for it.

    Args:
        url: Address of the endpoint.
        authorization: Value of the header `authorization`; empty: the header is not sent.
        bodies: Request bodies, sent in turn.
        is_streaming: Whether the bodies ask for streams.
        whole_marks: Byte strings that a whole answer must contain.
        end_mark: Byte string at the end of a stream.
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
    """The result of a load.

    Args:
        seconds: Time from the first request to the last answer.
        latencies_ms: Times from the request, or from the moment at which it was due, to the end of its answer; sorted,
            right answers only.
        errors: Kind of error -> count.
        first_chunks_ms: Times from the request to the first chunk of its stream; sorted, right answers only.
        n_chunks: Number of chunks of streams, right answers only.
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
        """Return the latency that this share (0..1) of the answers did not exceed; NaN without an answer."""
        return _percentile(self.latencies_ms, share)

    def first_chunk_ms(self, share: float) -> float:
        """Return the wait for a first chunk that this share (0..1) of the streams did not exceed; NaN: no stream."""
        return _percentile(self.first_chunks_ms, share)


def _percentile(numbers: Sequence[float], share: float) -> float:
    return numbers[min(int(share * len(numbers)), len(numbers) - 1)] if numbers else math.nan


def apply_load(target: Target, connections: int, seconds: float) -> LoadResult:
    """Send as fast as answers come, on `connections` connections for `seconds`, and wait for the last answers."""
    return uvloop.run(_apply(target, connections, seconds))


def apply_arrivals(target: Target, per_second: float, seconds: float, seed: int = 0) -> LoadResult:
    """Send at random moments (Poisson), even if answers are late, and wait for the last of them.

    Latencies count from the moment at which a request was due, so that a slow server does not get fewer requests.

    Args:
        target: Endpoint and requests.
        per_second: Mean number of requests per second.
        seconds: Length of the load.
        seed: Seed of the random moments.
    """
    return uvloop.run(_arrive(target, per_second, seconds, seed))


async def _apply(target: Target, connections: int, seconds: float) -> LoadResult:
    load = _ClosedLoop(target, connections, perf_counter() + seconds)
    await load.connect()
    return await load.result(seconds + _GRACE_S)


async def _arrive(target: Target, per_second: float, seconds: float, seed: int) -> LoadResult:
    rng = random.Random(seed)  # noqa: S311 - not a secret
    load = _Arrivals(target, _ARRIVING_CONNECTIONS)
    await load.connect()
    load.started = due = perf_counter()
    for _ in range(round(per_second * seconds)):
        due += rng.expovariate(per_second)
        # The loop's timers have a resolution of milliseconds, so the last ones are waited for by polling.
        while (ahead_s := due - perf_counter()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(ahead_s - _TIMER_S if ahead_s > _TIMER_S else 0)
        load.send_when_free(due)
    load.note_last()
    return await load.result(_GRACE_S)


class _Load(ABC):
    """The shared state of one load's connections; the load ends when all of them are closed."""

    def __init__(self, target: Target, connections: int) -> None:
        self.requests = target.requests()
        self.target = target
        self.started = perf_counter()
        self.latencies_ms: list[float] = []
        self.errors: Counter[str] = Counter()
        self.first_chunks_ms: list[float] = []
        self.n_chunks = 0
        self._n_open = connections
        self._all_closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._n_sent = 0

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        parts = urlsplit(self.target.url)
        for _ in range(self._n_open):
            await loop.create_connection(lambda: _Connection(self), parts.hostname or "", parts.port or 80)

    async def result(self, within_s: float) -> LoadResult:
        try:
            await asyncio.wait_for(self._all_closed, within_s)
        except TimeoutError:
            self.errors["no answer"] += self._n_open
        seconds = perf_counter() - self.started
        return LoadResult(seconds, sorted(self.latencies_ms), self.errors, sorted(self.first_chunks_ms), self.n_chunks)

    def next_request(self) -> bytes:
        self._n_sent += 1
        return self.requests[self._n_sent % len(self.requests)]

    @abstractmethod
    def go_on(self, connection: "_Connection") -> None:
        """Use a connection that is new, or that has received its answer."""

    def note_closed(self, connection: "_Connection") -> None:
        self._n_open -= 1
        if self._n_open == 0 and not self._all_closed.done():
            self._all_closed.set_result(None)


class _ClosedLoop(_Load):
    """A load in which each connection sends its next request as soon as it has an answer."""

    def __init__(self, target: Target, connections: int, ends_at: float) -> None:
        super().__init__(target, connections)
        self._ends_at = ends_at

    def go_on(self, connection: "_Connection") -> None:
        now = perf_counter()
        if now >= self._ends_at:
            connection.close()
        else:
            connection.send(now)


class _Arrivals(_Load):
    """A load whose requests are sent when they are due, or when the next connection is free."""

    def __init__(self, target: Target, connections: int) -> None:
        super().__init__(target, connections)
        self._free: list[_Connection] = []
        self._late: deque[float] = deque()
        self._has_more = True

    def send_when_free(self, due: float) -> None:
        if self._free:
            self._free.pop().send(due)
        else:
            self._late.append(due)

    def note_last(self) -> None:
        """Close each connection as soon as it has no more work."""
        self._has_more = False
        for connection in self._free:
            connection.close()

    async def result(self, within_s: float) -> LoadResult:
        result = await super().result(within_s)
        if self._late:  # no connection was left
            result.errors["never sent"] += len(self._late)
        return result

    def go_on(self, connection: "_Connection") -> None:
        if self._late:
            connection.send(self._late.popleft())
        elif self._has_more:
            self._free.append(connection)
        else:
            connection.close()

    def note_closed(self, connection: "_Connection") -> None:
        if connection in self._free:  # the server closes connections that were idle for long
            self._free.remove(connection)
        super().note_closed(connection)


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._parts: list[bytes] = []
        self._n_bytes = 0
        self._n_expected: int | None = None
        self._due = 0.0
        self._is_waiting = False
        self._first_chunk: float | None = None
        self._transport: asyncio.Transport

    def send(self, due: float) -> None:
        """Send the next request; its latency counts from `due`."""
        self._parts.clear()
        self._n_bytes = 0
        self._is_waiting = True
        self._first_chunk = None
        self._due = due
        self._transport.write(self._load.next_request())

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._load.go_on(self)

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        if not self._parts:
            self._n_expected = _length_of(data)
        self._parts.append(data)
        self._n_bytes += len(data)
        if self._first_chunk is None and self._load.target.is_streaming and _CHUNK in data:
            self._first_chunk = now
        if self._n_expected is None:
            tail = data if len(data) >= len(_END_OF_CHUNKS) else b"".join(self._parts[-len(_END_OF_CHUNKS) :])
            is_complete = tail.endswith(_END_OF_CHUNKS)
        else:
            is_complete = self._n_bytes >= self._n_expected
        if is_complete:
            self._is_waiting = False
            self._note_answer(now)
            self._load.go_on(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_waiting:
            self._load.errors["connection lost"] += 1
        self._load.note_closed(self)

    def _note_answer(self, now: float) -> None:
        answer = b"".join(self._parts)
        problem = _problem_with(answer, self._load.target)
        load = self._load
        if problem is not None:
            load.errors[problem] += 1
            return
        load.latencies_ms.append((now - self._due) * 1_000)
        if self._first_chunk is not None:
            load.first_chunks_ms.append((self._first_chunk - self._due) * 1_000)
            load.n_chunks += answer.count(_CHUNK)


def _length_of(first_bytes: bytes) -> int | None:
    """Return the length of the whole response; None: it comes in chunks.

    All measured servers send the head in one piece.
    """
    head, separator, _ = first_bytes.partition(b"\r\n\r\n")
    _, named, rest = head.lower().partition(b"\r\ncontent-length:")
    return len(head) + len(separator) + int(rest.partition(b"\r\n")[0]) if named else None


def _problem_with(answer: bytes, target: Target) -> str | None:
    if not answer.startswith(b"HTTP/1.1 200 "):
        return "status " + answer[9:12].decode("latin-1")
    if target.is_streaming:
        # A gateway may add chunks, for example its own usage, but never leave one out.
        is_whole = answer.count(_CHUNK) > STREAM_CHUNKS - 2 and target.end_mark in answer
        return None if is_whole else "incomplete stream"
    return None if all(mark in answer for mark in target.whole_marks) else "not an answer"
