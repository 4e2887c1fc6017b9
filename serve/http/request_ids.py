"""Ids of requests, and the headers that carry them."""

import os
from typing import Final

from serve.http.asgi import RawHeaders

_ID_BYTES = 12
_IDS_PER_DRAW = 256
REQUEST_ID_HEADERS: Final = (b"x-llmdeal-request-id", b"x-request-id", b"request-id")
"""The gateway's own header, the one that OpenAI's SDKs read, and the one that Anthropic's read."""


class RequestIds:
    """Makes request ids: `req_` and 96 random bits in hex.

    Random bytes are drawn for many ids at once, because each draw is a system call.
    """

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def take(self) -> str:
        """Return a fresh id."""
        if not self._drawn:
            digits = os.urandom(_ID_BYTES * _IDS_PER_DRAW).hex()
            self._drawn = [digits[start : start + 2 * _ID_BYTES] for start in range(0, len(digits), 2 * _ID_BYTES)]
        return "req_" + self._drawn.pop()


def request_id_headers(request_id: str) -> RawHeaders:
    """Return the headers that carry an id."""
    value = request_id.encode()
    return [(name, value) for name in REQUEST_ID_HEADERS]
