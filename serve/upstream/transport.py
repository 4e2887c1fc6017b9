"""The port to a provider: post a body, get a response whose bytes arrive when they arrive."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from serve.upstream.destination import Destination


class TransportError(Exception):
    """The provider's side of the line failed; never carries a URL query, a header or a body."""


class ConnectFailed(TransportError):  # noqa: N818 - reads as what happened
    """No connection was made, so nothing was sent: safe to retry."""


class DeadlinePassed(TransportError):  # noqa: N818
    """Connecting, waiting for bytes, or the whole call took too long."""


class StreamBroken(TransportError):  # noqa: N818
    """The connection broke after the request was sent."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Limits of one upstream call, in seconds.

    Args:
        connect_s: To make a connection.
        read_s: Between two reads; the first one is the time to first byte.
        total_s: For the whole call, streams included.
    """

    connect_s: float = 5.0
    read_s: float = 120.0
    total_s: float = 600.0


class UpstreamResponse(Protocol):
    """A response whose head has come. Whoever holds it closes it, whatever happens."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in lower case; several of one name are one value, with commas between them."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the whole body came and was read."""
        ...

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body.

        Raises:
            DeadlinePassed, StreamBroken: It did not come to its end, or is larger than `limit_bytes`.
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive.

        Raises:
            DeadlinePassed, StreamBroken: It did not come to its end.
        """
        ...

    def close(self) -> None:
        """Give the connection back when the body was read to its end, else cut it, which tells the provider to stop."""
        ...


class UpstreamTransport(Protocol):
    """Posts to providers; shared by all requests of a process, and closed once, at shutdown."""

    async def post(
        self, destination: Destination, own_headers: Mapping[str, str], body: bytes, deadlines: Deadlines
    ) -> UpstreamResponse:
        """Send a request and wait for the head of the response.

        Args:
            destination: URL, and the headers of every request to it.
            own_headers: Headers of this request alone; they take the place of the destination's headers of the same name.
            body: Body of the request.
            deadlines: Limits of the call.

        Raises:
            ConnectFailed, DeadlinePassed, StreamBroken: No head came.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
