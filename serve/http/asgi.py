"""The few lines between ASGI and the hot endpoints, which are plain callables without a framework."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from serve.errors import TooLargeError

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")


class ClientDisconnected(Exception):  # noqa: N818 - reads as what happened
    """The caller went away before its request was read."""


async def read_body(receive: Receive, limit_bytes: int) -> bytes:
    """Return the request body.

    Raises:
        TooLargeError: It is larger than the gateway takes.
        ClientDisconnected: The caller went away.
    """
    event = await receive()
    if event["type"] == "http.disconnect":
        raise ClientDisconnected
    body: bytes = event.get("body", b"")
    if event.get("more_body"):
        parts = [body]
        size = len(body)
        while event.get("more_body") and size <= limit_bytes:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ClientDisconnected
            parts.append(event.get("body", b""))
            size += len(parts[-1])
        body = b"".join(parts)
    if len(body) > limit_bytes:
        raise TooLargeError(f"the body is larger than {limit_bytes:,} bytes")
    return body


async def send_json(send: Send, status: int, body: object, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send one JSON response."""
    raw = msgspec.json.encode(body)
    length = (b"content-length", str(len(raw)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [JSON, length, *headers]})
    await send({"type": "http.response.body", "body": raw})


def header_value(text: str) -> bytes:
    """Return `text` as a header value: latin-1, and nothing that could end the header."""
    return text.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")
