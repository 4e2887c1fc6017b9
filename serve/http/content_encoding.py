"""Compressed request bodies (RFC 9110, 8.4): `gzip` and `deflate`, unpacked to no more than a body may have."""

import asyncio
import zlib

from serve.errors import BadRequestError, TooLargeError, UnsupportedEncodingError

_LARGE_BYTES = 64 * 1024
_WINDOW_BITS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
_RAW_DEFLATE = -15


async def unpacked(body: bytes, encoding: bytes, limit_bytes: int) -> bytes:
    """Return a body without its compression; a large one is unpacked in a thread.

    Args:
        body: The body as it came.
        encoding: Value of `content-encoding`.
        limit_bytes: Largest body, unpacked.

    Raises:
        UnsupportedEncodingError: The compression is not offered.
        BadRequestError: The body is not what the header says.
        TooLargeError: The body is larger when it is unpacked.
    """
    names = [name.strip().lower() for name in encoding.split(b",")]
    for name in reversed([name for name in names if name not in (b"", b"identity")]):
        if name not in _WINDOW_BITS:
            raise UnsupportedEncodingError(
                f"content-encoding {name.decode('latin-1')[:40]!r} is not offered. Send gzip, or no compression."
            )
        if len(body) > _LARGE_BYTES:
            body = await asyncio.to_thread(_inflated, body, name, limit_bytes)
        else:
            body = _inflated(body, name, limit_bytes)
    return body


def _inflated(body: bytes, name: bytes, limit_bytes: int) -> bytes:
    bits = _WINDOW_BITS[name]
    if name == b"deflate" and body[:1] and body[0] & 0x0F != 8:  # some clients leave zlib's header out
        bits = _RAW_DEFLATE
    inflater = zlib.decompressobj(bits)
    try:
        text = inflater.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise BadRequestError(f"the body is not {name.decode()}: {error}", code="invalid_encoding") from None
    if len(text) > limit_bytes:
        raise TooLargeError(f"the unpacked body is larger than {limit_bytes:,} bytes")
    if not inflater.eof:
        raise BadRequestError(f"the {name.decode()} body ends too early", code="invalid_encoding")
    return text
