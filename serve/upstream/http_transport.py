"""Providers over HTTP/1.1, through a small client of our own.

The reasons are in docs/decisions/0007-our-own-upstream-client.md.
"""

import asyncio
import contextlib
import socket
import ssl
from collections import defaultdict
from collections.abc import Mapping

from aiohappyeyeballs import start_connection

from serve.upstream.destination import Destination, MalformedHead, Origin
from serve.upstream.http_connection import HttpConnection
from serve.upstream.http_response import HttpResponse
from serve.upstream.transport import ClosedWhileIdle, ConnectFailed, Deadlines, UpstreamResponse

MAX_CONNECTIONS = 2_000
KEEPALIVE_S = 60.0
_NEXT_ADDRESS_AFTER_S = 0.25  # RFC 8305, "Happy Eyeballs", section 5


class HttpTransport:
    """A shared pool of connections to all providers. It does not follow redirects and asks for no compression."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[HttpConnection]] = defaultdict(list)
        self._origins: dict[HttpConnection, Origin] = {}
        self._tls: ssl.SSLContext | None = None

    async def post(
        self, destination: Destination, own_headers: Mapping[str, str], body: bytes, deadlines: Deadlines
    ) -> UpstreamResponse:
        """Send a request and wait for the head of the response; see `UpstreamTransport.post`."""
        try:
            origin, head = destination.origin, destination.head(own_headers, len(body))
        except MalformedHead as error:
            raise ConnectFailed(str(error)) from error
        ends_at = asyncio.get_running_loop().time() + deadlines.total_s
        request = [head, body]
        kept = self._take_idle(origin)
        if kept is not None:
            with contextlib.suppress(ClosedWhileIdle):
                return await self._ask(kept, request, deadlines.read_s, ends_at)
        connection = await self._connect(origin, deadlines.connect_s)
        return await self._ask(connection, request, deadlines.read_s, ends_at)

    async def close(self) -> None:
        """Close all connections."""
        for connection in list(self._origins):
            connection.abort()
        await asyncio.sleep(0)  # lets the event loop call `connection_lost` of each

    async def _ask(
        self, connection: HttpConnection, request: list[bytes], read_s: float, ends_at: float
    ) -> HttpResponse:
        try:
            connection.send(request, read_s, ends_at)
            await connection.receive_head()
            return HttpResponse(connection, self._release)
        except BaseException:  # also when the caller cancels: the answer is of no use then
            connection.abort()
            raise

    def _take_idle(self, origin: Origin) -> HttpConnection | None:
        """Return the connection that was idle for the shortest time; None: there is none, or even that one is stale."""
        idle = self._idle[origin]
        if not idle:
            return None
        freshest = idle.pop()
        if freshest.is_reusable and asyncio.get_running_loop().time() - freshest.idle_since <= KEEPALIVE_S:
            return freshest
        for stale in (freshest, *idle):
            stale.abort()
        idle.clear()
        return None

    def _release(self, connection: HttpConnection) -> None:
        if connection.is_reusable:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle[self._origins[connection]].append(connection)
        else:
            connection.abort()

    def _forget(self, connection: HttpConnection) -> None:
        origin = self._origins.pop(connection, None)
        if origin is not None and connection in self._idle[origin]:
            self._idle[origin].remove(connection)

    async def _connect(self, origin: Origin, connect_s: float) -> HttpConnection:
        if len(self._origins) >= MAX_CONNECTIONS and not self._drop_longest_idle():
            raise ConnectFailed(f"all {MAX_CONNECTIONS:,} connections are in use")
        try:
            async with asyncio.timeout(connect_s):
                return await self._open(origin)
        except TimeoutError as error:
            raise ConnectFailed("connecting took too long") from error
        except OSError as error:  # of TLS too
            raise ConnectFailed(f"no connection ({error.strerror or type(error).__name__})") from error

    def _drop_longest_idle(self) -> bool:
        """Close the connection that was idle for the longest time, of any origin; False: none is idle."""
        oldest = min(
            (idle[0] for idle in self._idle.values() if idle),
            key=lambda connection: connection.idle_since,
            default=None,
        )
        if oldest is None:
            return False
        self._forget(oldest)
        oldest.abort()
        return True

    async def _open(self, origin: Origin) -> HttpConnection:
        connection = HttpConnection(self._forget)
        self._origins[connection] = origin
        try:
            loop = asyncio.get_running_loop()
            addresses = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            connected = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_S)
            try:
                await loop.create_connection(
                    lambda: connection,
                    sock=connected,
                    ssl=self._tls_context() if origin.is_encrypted else None,
                    server_hostname=origin.host if origin.is_encrypted else None,
                )
            except BaseException:
                connected.close()
                raise
        except BaseException:
            self._forget(connection)
            raise
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        """Return the TLS context of this machine's certificates. It takes megabytes, so it is made at its first use."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
