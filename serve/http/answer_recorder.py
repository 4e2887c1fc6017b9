"""Keeps the answer that is sent to a caller, so that it can be given again."""

from collections.abc import Awaitable, Callable
from typing import Final

from serve.http.asgi import Event, RawHeaders, Send
from serve.http.caller_watch import KEEP_ALIVE
from serve.http.request_ids import REQUEST_ID_HEADERS
from serve.idempotency.recorded_answer import RecordedAnswer

_KEPT_HEADERS: Final = frozenset({b"content-type", b"cache-control", b"x-accel-buffering", *REQUEST_ID_HEADERS})
_OWN_PREFIX: Final = b"x-llmdeal-"


class AnswerRecorder:
    """Stands between an endpoint and its caller.

    The last piece of an answer is sent only after the answer was kept. So a caller that got all of it gets it again.

    Args:
        send: ASGI function that sends to the caller.
        keep: Function that keeps the answer; called once, and only for a 2xx answer that is complete.
        most_bytes: Length of the longest body that is kept.
    """

    def __init__(self, send: Send, keep: Callable[[RecordedAnswer], Awaitable[None]], most_bytes: int) -> None:
        self._send = send
        self._keep = keep
        self._most_bytes = most_bytes
        self._status = 0
        self._headers: RawHeaders = []
        self._pieces: list[bytes] = []
        self._n_bytes = 0
        self.is_kept = False

    async def send(self, event: Event) -> None:
        """Send one event of an answer."""
        if event["type"] == "http.response.start":
            self._status = event["status"]
            self._headers = [
                pair for pair in event["headers"] if pair[0] in _KEPT_HEADERS or pair[0].startswith(_OWN_PREFIX)
            ]
        else:
            self._note(event.get("body", b""))
            if not event.get("more_body") and 200 <= self._status < 300 and not self.is_kept:
                self.is_kept = True
                body = b"".join(self._pieces) if self._n_bytes <= self._most_bytes else None
                await self._keep(RecordedAnswer(self._status, self._headers, body))
        await self._send(event)

    def _note(self, piece: bytes) -> None:
        if piece == KEEP_ALIVE:
            return
        self._n_bytes += len(piece)
        if self._n_bytes <= self._most_bytes:
            self._pieces.append(piece)
        else:
            self._pieces.clear()
