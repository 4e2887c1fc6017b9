"""Undoes a content coding. We ask for none (`accept-encoding: identity`); some providers send one all the same."""

import zlib
from collections.abc import Callable

from serve.upstream.transport import StreamBroken

Decode = Callable[[bytes], bytes]

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


def decoder_for(coding: str | None) -> Decode | None:
    """Return what decodes a body piece by piece; None: it is sent as it is.

    Raises:
        StreamBroken: A coding that we cannot undo.
    """
    if coding is None or coding.strip().lower() in ("", "identity"):
        return None
    if coding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        raise StreamBroken(f"an answer in the content coding {coding[:40]!r}, which nobody asked for")
    inflate = zlib.decompressobj(_GZIP_OR_ZLIB).decompress

    def decode(piece: bytes) -> bytes:
        try:
            return inflate(piece)
        except zlib.error:
            raise StreamBroken("an answer whose compression is damaged") from None

    return decode
