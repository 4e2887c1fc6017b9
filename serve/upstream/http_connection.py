"""One HTTP/1.1 connection to a provider: it sends a request, parses the answer as it arrives, and keeps the deadlines.

The parser is httptools (llhttp, the parser of Node.js). It handles framing, chunks and keep-alive (RFC 9112).
"""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from serve.upstream.transport import ClosedWhileIdle, DeadlinePassed, StreamBroken, TransportError

MAX_HEAD_BYTES = 64 * 1024
_BUFFERED_BYTES = 256 * 1024
"""Bytes of an answer that may wait for their reader. At more, the connection stops reading, so the provider waits."""

_CLOSED_WITHIN_S = 1.0
"""A kept connection that ends this soon after a request was sent was being closed already, within a round trip."""


class HttpConnection(asyncio.Protocol):
    """Carries one exchange at a time: `send`, `receive_head`, then `receive_piece` until it returns nothing.

    Args:
        on_lost: Called once, when the connection is gone.
    """

    def __init__(self, on_lost: Callable[["HttpConnection"], None]) -> None:
        self.idle_since = 0.0
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_reusable = True
        self._read_s = self._ends_at = self._sent_at = self._active_at = 0.0
        self._n_answers = 0
        self._begin_exchange()
        self._is_complete = True

    def _begin_exchange(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._head_bytes = 0
        self._has_bytes = False
        self._has_head = False
        self._is_complete = False
        self._ends_with_connection = False
        self._failure: TransportError | None = None
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._is_paused = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent: the last answer is complete, and both sides keep the connection."""
        is_open = self._transport is not None and not self._transport.is_closing()
        return is_open and self._is_complete and self._is_reusable

    @property
    def is_over(self) -> bool:
        """Whether the answer came to its end and nothing of it waits to be received."""
        return self._is_complete and not self._pieces

    def send(self, request: list[bytes], read_s: float, ends_at: float) -> None:
        """Send a request.

        Args:
            request: Its head and its body.
            read_s: Longest silence of the provider, in seconds.
            ends_at: Time of the event loop's clock at which the exchange must have ended.
        """
        self._begin_exchange()
        self._read_s = read_s
        self._ends_at = ends_at
        self._sent_at = self._active_at = self._loop.time()
        self._expect_by(min(self._active_at + read_s, ends_at))
        if self._transport is None:
            self._fail(StreamBroken("the connection broke before the request was sent"))
        else:
            self._transport.writelines(request)

    async def receive_head(self) -> None:
        """Return once `status` and `headers` are there.

        Raises:
            ClosedWhileIdle: The provider was closing this kept connection; the request may be sent on another.
            DeadlinePassed, StreamBroken: They did not come.
        """
        while not self._has_head:
            await self._wait()

    async def receive_piece(self) -> bytes:
        """Return the bytes of the body that came since the last call, or wait for some; b"": the body is over.

        Raises:
            DeadlinePassed, StreamBroken: The body did not come to its end.
        """
        while not self._pieces:
            if self._is_complete:
                return b""
            await self._wait()
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._buffered = 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return piece

    def abort(self) -> None:
        """Close the connection at once; the provider notices and stops."""
        self._stop_deadline()
        if self._transport is not None:
            self._transport.abort()

    def _expect_by(self, due: float) -> None:
        """Make sure that a timer rings by then.

        To set a timer is expensive, so one of the exchange before is kept if it rings earlier.
        """
        if self._deadline is not None and self._deadline.when() <= due:
            return
        self._stop_deadline()
        self._deadline = self._loop.call_at(due, self._check_deadline)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: TransportError) -> None:
        if self._failure is None and not self._is_complete:
            self._failure = failure
        self._wake()

    def _check_deadline(self) -> None:
        """Fail when the time is up, else set the timer again.

        Silence counts only while a reader waits: a slow reader must not make the provider late.
        """
        self._deadline = None
        if self._is_complete:
            return
        now = self._loop.time()
        due = min(self._ends_at, (self._active_at if self._waiter is not None else now) + self._read_s)
        if now < due:
            self._expect_by(due)
            return
        self._fail(DeadlinePassed(self._lateness(now)))
        self.abort()

    def _lateness(self, now: float) -> str:
        if now >= self._ends_at:
            return "the answer did not come to its end in time"
        return "the provider fell silent" if self._has_head else "no answer in time"

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse bytes of the answer."""
        if self._is_complete:  # bytes that no request asked for
            self._is_reusable = False
            self.abort()
            return
        self._has_bytes = True
        self._active_at = self._loop.time()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._is_reusable = False
            self._fail(StreamBroken(f"an answer that is not HTTP/1.1 ({type(error).__name__})"))
            self.abort()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """End the exchange, if one is under way."""
        self._stop_deadline()
        self._transport = None
        if self._has_head and self._ends_with_connection and error is None:
            self._is_complete = True
        kind = ClosedWhileIdle if self._was_closed_while_idle() else StreamBroken
        self._fail(kind(f"the connection broke ({type(error).__name__ if error else 'closed by the provider'})"))
        self._on_lost(self)

    def _was_closed_while_idle(self) -> bool:
        is_quick = self._loop.time() - self._sent_at < _CLOSED_WITHIN_S
        return self._n_answers > 0 and not self._has_bytes and is_quick

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; several headers of one name make one list (RFC 9110, 5.2)."""
        self._head_bytes += len(name) + len(value)
        if self._is_complete or self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("an answer without a request, or a head that is too long")
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        """Keep the head as the answer's, unless its status is informational (RFC 9110, 15.2)."""
        status = self._parser.get_status_code()
        if status < 200:
            self.headers.clear()
            return
        self.status = status
        self._has_head = True
        self._ends_with_connection = "content-length" not in self.headers and "transfer-encoding" not in self.headers

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._pieces.append(body)
        self._buffered += len(body)
        if self._buffered > _BUFFERED_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """End the exchange."""
        if self._has_head:
            self._is_complete = True
            self._n_answers += 1
            self._is_reusable = self._parser.should_keep_alive()
