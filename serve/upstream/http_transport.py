"""Providers over HTTP, by aiohttp; why it is this client: docs/decisions/0001-aiohttp-for-the-upstream-side.md."""

from collections.abc import AsyncIterator, Mapping

import aiohttp

from serve.upstream.transport import ConnectFailed, DeadlinePassed, Deadlines, StreamBroken, UpstreamResponse

MAX_CONNECTIONS = 2_000
KEEPALIVE_S = 60.0


class HttpResponse:
    """A response from a real provider."""

    __slots__ = ("_response",)

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Case-insensitive."""
        return self._response.headers

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body; see `UpstreamResponse.read`."""
        if (self._response.content_length or 0) > limit_bytes:
            raise StreamBroken(f"an answer of more than {limit_bytes} bytes")
        try:
            body = await self._response.read()
        except TimeoutError:
            raise DeadlinePassed("the answer did not come to its end in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise StreamBroken(f"the connection broke ({type(error).__name__})") from None
        if len(body) > limit_bytes:
            raise StreamBroken(f"an answer of more than {limit_bytes} bytes")
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive; see `UpstreamResponse.chunks`."""
        content = self._response.content
        try:
            while chunk := await content.readany():
                yield chunk
        except TimeoutError:
            raise DeadlinePassed("the stream fell silent") from None
        except (aiohttp.ClientError, OSError) as error:
            raise StreamBroken(f"the connection broke ({type(error).__name__})") from None

    def close(self) -> None:
        """Release a finished connection, cut an unfinished one."""
        if self._response.content.is_eof():
            self._response.release()
        else:
            self._response.close()


class HttpTransport:
    """A shared pool of connections to all providers. The pool is made at the first call, inside the running event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._timeouts: dict[Deadlines, aiohttp.ClientTimeout] = {}

    def _open_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEPALIVE_S, ttl_dns_cache=300)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
            skip_auto_headers=("User-Agent",),
            read_bufsize=2**18,
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, deadlines: Deadlines) -> UpstreamResponse:
        """Send and wait for the head of the response; see `UpstreamTransport.post`."""
        if self._session is None:
            self._session = self._open_session()
        timeout = self._timeouts.get(deadlines)
        if timeout is None:
            timeout = aiohttp.ClientTimeout(total=deadlines.total_s, sock_connect=deadlines.connect_s, sock_read=deadlines.read_s)
            self._timeouts[deadlines] = timeout
        try:
            response = await self._session.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False)
        except aiohttp.ConnectionTimeoutError:
            raise ConnectFailed("connecting took too long") from None
        except aiohttp.ClientConnectorError as error:
            raise ConnectFailed(f"no connection ({error.strerror or type(error).__name__})") from None
        except TimeoutError:
            raise DeadlinePassed("no answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise StreamBroken(f"the connection broke before the answer ({type(error).__name__})") from None
        return HttpResponse(response)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
