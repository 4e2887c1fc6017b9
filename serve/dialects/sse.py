"""Server-sent events: a byte stream is cut at the ends of events, wherever the network cut it.

Format: WHATWG HTML, section 9.2 (server-sent events); lines may end in LF, CRLF or CR, an empty line ends an event.
"""

import re

_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class EventSplitter:
    """Collects bytes and returns whole events with their ends; joined, they are the stream again.

    Args:
        max_event_bytes: Largest size of one event. A stream with a larger one is broken.
    """

    def __init__(self, max_event_bytes: int = 8 * 1024 * 1024) -> None:
        self._pending = b""
        self._max_event_bytes = max_event_bytes

    @property
    def pending(self) -> bytes:
        """Bytes of an event that is not complete yet."""
        return self._pending

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the events that `chunk` completes.

        Raises:
            ValueError: An event is larger than the limit.
        """
        data = self._pending + chunk if self._pending else chunk
        if data.endswith(b"\n\n") and data.count(b"\n") == 2 and b"\r" not in data:
            self._pending = b""
            return [data]  # one whole event of one line, as nearly all chunks are
        events = []
        start = 0
        for boundary in _BOUNDARY.finditer(data):
            events.append(data[start : boundary.end()])
            start = boundary.end()
        self._pending = data[start:]
        if len(self._pending) > self._max_event_bytes:
            raise ValueError(f"an event of more than {self._max_event_bytes} bytes")
        return events


def event_data(event: bytes) -> bytes | None:
    """Return the data of one event: its `data:` lines, joined by line feeds. None: it has none (a comment, say)."""
    if event.startswith(b"data:") and event.count(b"\n") == 2 and event.endswith(b"\n\n"):
        return event[5:-2].strip()
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines).strip() if lines else None


def encode_event(data: bytes) -> bytes:
    """Return one event with this data, which must hold no line break."""
    return b"data: " + data + b"\n\n"
