"""Providers over HTTP/1.1, by a small client of our own; why: docs/decisions/0007-our-own-upstream-client.md."""

import asyncio
import socket
import ssl
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection

from serve.upstream.http_connection import HttpConnection
from serve.upstream.http_response import HttpResponse
from serve.upstream.transport import ConnectFailed, Deadlines, UpstreamResponse

MAX_CONNECTIONS = 2_000
KEEPALIVE_S = 60.0
_NEXT_ADDRESS_AFTER_S = 0.25  # RFC 8305, "Happy Eyeballs", section 5
_MAX_KNOWN_HEADS = 1_000


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a URL points (RFC 6454)."""

    host: str
    port: int
    is_encrypted: bool


class HttpTransport:
    """A shared pool of connections to all providers. Does not follow redirects and asks for no compression."""

    def __init__(self) -> None:
        self._idle: dict[_Origin, list[HttpConnection]] = defaultdict(list)
        self._origins: dict[HttpConnection, _Origin] = {}
        self._heads: dict[tuple[str, int], tuple[_Origin, bytes, Mapping[str, str]]] = {}
        self._tls: ssl.SSLContext | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, deadlines: Deadlines) -> UpstreamResponse:
        """Send and wait for the head of the response; see `UpstreamTransport.post`."""
        origin, head = self._head(url, headers)
        ends_at = asyncio.get_running_loop().time() + deadlines.total_s
        connection = self._take_idle(origin) or await self._connect(origin, deadlines.connect_s)
        try:
            connection.send([head % len(body), body], deadlines.read_s, ends_at)
            await connection.receive_head()
            return HttpResponse(connection, self._release)
        except BaseException:  # whoever cancels has no use for the answer either
            connection.abort()
            raise

    async def close(self) -> None:
        """Close all connections."""
        for connection in list(self._origins):
            connection.abort()
        await asyncio.sleep(0)  # lets the event loop tell each of them

    def _head(self, url: str, headers: Mapping[str, str]) -> tuple[_Origin, bytes]:
        """Return the origin and the request's head, in which the body's length is left open. Lanes are few, so heads are kept."""
        known = self._heads.get((url, id(headers)))
        if known is None:
            if len(self._heads) >= _MAX_KNOWN_HEADS:
                self._heads.clear()
            # The mapping is kept too, so that its id cannot become that of another one.
            known = self._heads[url, id(headers)] = (*_encode_head(url, headers), headers)
        return known[0], known[1]

    def _take_idle(self, origin: _Origin) -> HttpConnection | None:
        """Return the connection that was idle for the shortest time; when even that is stale, all are."""
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

    async def _connect(self, origin: _Origin, connect_s: float) -> HttpConnection:
        if len(self._origins) >= MAX_CONNECTIONS and not self._drop_longest_idle():
            raise ConnectFailed(f"all {MAX_CONNECTIONS:,} connections are in use")
        try:
            async with asyncio.timeout(connect_s):
                return await self._open(origin)
        except TimeoutError:
            raise ConnectFailed("connecting took too long") from None
        except OSError as error:  # of TLS too
            raise ConnectFailed(f"no connection ({error.strerror or type(error).__name__})") from None

    def _drop_longest_idle(self) -> bool:
        """Cut the connection that was idle for the longest time, of any origin; False: none is idle."""
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

    async def _open(self, origin: _Origin) -> HttpConnection:
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
        """Return the context that trusts what this machine trusts; it takes megabytes, so it is made when it is needed."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _encode_head(url: str, headers: Mapping[str, str]) -> tuple[_Origin, bytes]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConnectFailed("the lane's URL has no host, or is neither http nor https")
    is_encrypted = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    fields = {
        "host": host,
        "accept": "*/*",
        "accept-encoding": "identity",
        **{k.lower(): v for k, v in headers.items()},
    }
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if any(character in line for line in lines for character in "\r\n\0"):
        raise ConnectFailed("a header of the lane holds a line break")
    head = "\r\n".join(lines).encode("latin-1").replace(b"%", b"%%") + b"\r\ncontent-length: %d\r\n\r\n"
    return _Origin(parts.hostname, parts.port or (443 if is_encrypted else 80), is_encrypted), head
