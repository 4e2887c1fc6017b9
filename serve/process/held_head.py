"""A uvicorn connection that sends the head of a response together with the first bytes of its body.

That is one packet and one system call instead of two. ASGI asks for it: "the protocol server must not start sending the
response to the client until it has received at least one Response Body event".
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_END = b"\r\n\r\n"
_HEAD_START = b"HTTP/1.1 "
_INFORMS = b"HTTP/1.1 1"


class HeadHoldingTransport:
    """Passes everything on to a transport, but holds the head of a response until the next write.

    Args:
        transport: Transport of the connection.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, or hold the head of a response."""
        if self._head:
            data = self._head + data
            self._head = b""
        elif data.endswith(_HEAD_END) and data.startswith(_HEAD_START) and not data.startswith(_INFORMS):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Write a head that is still held: the response has no body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Close the connection after writing a head that is still held."""
        self.flush()
        self._transport.close()


class HeadHoldingProtocol(HttpToolsProtocol):
    """The HTTP protocol of uvicorn over a transport that holds heads."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin a connection."""
        self._held = HeadHoldingTransport(transport)
        super().connection_made(cast("asyncio.Transport", self._held))

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        self._held.flush()
        super().on_response_complete()
