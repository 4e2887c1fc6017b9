"""The port to a provider: post a body, and get a response whose bytes arrive over time."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from serve.upstream.destination import Destination


class TransportError(Exception):
    """The connection to the provider failed. The text never carries a URL query, a header or a body."""


class ConnectFailed(TransportError):  # noqa: N818 - reads as what happened
    """No connection was made, so nothing was sent: safe to retry."""


class DeadlinePassed(TransportError):  # noqa: N818
    """Connecting, waiting for bytes, or the whole call took too long."""


class StreamBroken(TransportError):  # noqa: N818
    """The connection broke after the request was sent."""


class ClosedWhileIdle(StreamBroken):
    """The provider closed a kept connection at the moment when the request was sent, and gave no byte of an answer."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Limits of one upstream call, in seconds.

    Args:
        connect_s: Longest time to make a connection.
        read_s: Longest time between two reads; the first read is the time to first byte.
        total_s: Longest time of the whole call, streams included.
    """

    connect_s: float = 5.0
    read_s: float = 120.0
    total_s: float = 600.0


class UpstreamResponse(Protocol):
    """A response whose head has come. Its owner closes it, whatever happens."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by name in lower case; several headers of one name are one value, separated by commas."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the whole body came and was read."""
        ...

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body.

        Raises:
            DeadlinePassed, StreamBroken: The body did not come to its end, or is larger than `limit_bytes`.
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive.

        Raises:
            DeadlinePassed, StreamBroken: The body did not come to its end.
        """
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it; the provider notices and stops."""
        ...


class UpstreamTransport(Protocol):
    """Posts to providers. All requests of a process share it; it is closed once, at shutdown."""

    async def post(
        self, destination: Destination, own_headers: Mapping[str, str], body: bytes, deadlines: Deadlines
    ) -> UpstreamResponse:
        """Send a request and wait for the head of the response.

        Args:
            destination: URL, and the headers of every request to it.
            own_headers: Headers of this request alone; they replace the destination's headers of the same name.
            body: Body of the request.
            deadlines: Limits of the call.

        Raises:
            ConnectFailed, DeadlinePassed, StreamBroken: No head came.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
