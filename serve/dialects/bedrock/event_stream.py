"""Amazon's binary event stream: a byte stream is cut into messages, wherever the network cut it.

Format: docs.aws.amazon.com, "Event stream encoding" (vnd.amazon.eventstream), read 2026-11-23. A message is:

- its whole length and the length of its headers, 4 bytes each, big-endian
- a CRC-32 of these 8 bytes
- the headers
- the payload
- a CRC-32 of everything before
"""

import struct
import zlib
from dataclasses import dataclass

_PRELUDE = struct.Struct(">III")
_CRC_BYTES = 4
_MAX_MESSAGE_BYTES = 24 * 1024 * 1024
_STRING = 7
_FIXED_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Type of a header's value -> its size, if it is fixed; types 6 and 7 have their size in front."""


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """One message.

    Args:
        headers: Name -> value; only headers of type string.
        payload: Payload, which is JSON in Converse.
    """

    headers: dict[str, str]
    payload: bytes


class MessageSplitter:
    """Collects bytes and returns whole messages."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, chunk: bytes) -> list[StreamMessage]:
        """Return the messages that `chunk` completes.

        Raises:
            ValueError: The bytes are not an event stream, or are damaged.
        """
        data = self._pending + chunk if self._pending else chunk
        messages, start = [], 0
        while len(data) - start >= _PRELUDE.size:
            length, headers_length, crc = _PRELUDE.unpack_from(data, start)
            if (
                zlib.crc32(data[start : start + 8]) != crc
                or not _PRELUDE.size + _CRC_BYTES <= length <= _MAX_MESSAGE_BYTES
            ):
                raise ValueError("the stream is not Amazon's event stream")
            if len(data) - start < length:
                break
            messages.append(_read(data[start : start + length], headers_length))
            start += length
        self._pending = data[start:]
        return messages


def encode_message(headers: dict[str, str], payload: bytes) -> bytes:
    """Return one message with headers of type string."""
    raw = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", _STRING, len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack(">II", _PRELUDE.size + len(raw) + len(payload) + _CRC_BYTES, len(raw))
    message = lengths + struct.pack(">I", zlib.crc32(lengths)) + raw + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _read(message: bytes, headers_length: int) -> StreamMessage:
    (crc,) = struct.unpack(">I", message[-_CRC_BYTES:])
    end = _PRELUDE.size + headers_length
    if zlib.crc32(message[:-_CRC_BYTES]) != crc or end > len(message) - _CRC_BYTES:
        raise ValueError("a message of the stream was damaged on the way")
    return StreamMessage(_headers(message[_PRELUDE.size : end]), message[end:-_CRC_BYTES])


def _headers(raw: bytes) -> dict[str, str]:
    headers, place = {}, 0
    try:
        while place < len(raw):
            name_end = place + 1 + raw[place]
            name, kind = raw[place + 1 : name_end].decode(), raw[name_end]
            place = name_end + 1
            if kind in _FIXED_BYTES:
                place += _FIXED_BYTES[kind]
                continue
            (length,) = struct.unpack_from(">H", raw, place)
            place += 2 + length
            if kind == _STRING:
                headers[name] = raw[place - length : place].decode()
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"a message of the stream has broken headers ({type(error).__name__})") from None
    return headers
