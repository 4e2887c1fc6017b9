"""The answer on an `HttpConnection`, behind the port to providers.

The gateway asks for no content coding (`accept-encoding: identity`). Some providers send one all the same; it is undone
here.
"""

import zlib
from collections.abc import AsyncIterator, Callable, Mapping

from serve.upstream.http_connection import HttpConnection
from serve.upstream.transport import StreamBroken

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class HttpResponse:
    """A response from a real provider.

    Args:
        connection: Connection on which the head of the answer has come.
        release: Takes the connection back.

    Raises:
        StreamBroken: The body has a content coding that cannot be undone.
    """

    __slots__ = ("_connection", "_decode", "_release", "headers", "status")

    def __init__(self, connection: HttpConnection, release: Callable[[HttpConnection], None]) -> None:
        self._connection = connection
        self._release = release
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers
        self._decode = _decoder_for(self.headers.get("content-encoding"))

    @property
    def is_over(self) -> bool:
        """Whether the whole body came and was read."""
        return self._connection.is_over

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body; see `UpstreamResponse.read`."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self._connection.receive_piece():
            pieces.append(self._decode(piece) if self._decode else piece)
            size += len(pieces[-1])
            if size > limit_bytes:
                raise StreamBroken(f"an answer of more than {limit_bytes} bytes")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive; see `UpstreamResponse.chunks`."""
        while piece := await self._connection.receive_piece():
            if decoded := self._decode(piece) if self._decode else piece:
                yield decoded

    def close(self) -> None:
        """Give a finished connection back, close an unfinished one."""
        self._release(self._connection)


def _decoder_for(coding: str | None) -> Callable[[bytes], bytes] | None:
    """Return what decodes a body piece by piece; None: the body is sent as it is.

    Raises:
        StreamBroken: The coding is none that can be undone.
    """
    if coding is None or coding.strip().lower() in ("", "identity"):
        return None
    if coding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        raise StreamBroken(f"an answer in the content coding {coding[:40]!r}, which the request did not ask for")
    inflate = zlib.decompressobj(_GZIP_OR_ZLIB).decompress

    def decode(piece: bytes) -> bytes:
        try:
            return inflate(piece)
        except zlib.error as error:
            raise StreamBroken("an answer whose compression is damaged") from error

    return decode
