"""One URL that requests are posted to, and the HTTP/1.1 heads of these requests (RFC 9112)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_NEVER_IN_A_LINE = re.compile(r"[\r\n\0]")


class MalformedHead(ValueError):  # noqa: N818 - reads as what happened
    """A head cannot be written from this URL or these headers; the text shows neither."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Host, port and scheme of a URL (RFC 6454)."""

    host: str
    port: int
    is_encrypted: bool


class Destination:
    """One URL, with the headers that every request to it carries.

    What all heads have in common is encoded once, for the first request, and lives as long as the destination. The
    headers of a single request are encoded with that request and are not kept.

    Args:
        url: URL, http or https.
        headers: Headers of every request; for a lane with its provider key.
    """

    __slots__ = ("_common_head", "_lines", "_origin", "headers", "url")

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        self.headers = headers
        self._origin: Origin | None = None
        self._lines: dict[str, bytes] = {}
        self._common_head = b""

    @property
    def origin(self) -> Origin:
        """The host to connect to.

        Raises:
            MalformedHead: The URL has no host, or is neither http nor https; or a header holds a line break.
        """
        return self._origin or self._encode()

    def head(self, own_headers: Mapping[str, str], body_bytes: int) -> bytes:
        """Return the head of one request.

        Args:
            own_headers: Headers of this request alone; they replace the destination's headers of the same name.
            body_bytes: Length of the request's body.

        Raises:
            MalformedHead: As for `origin`.
        """
        if self._origin is None:
            self._encode()
        head = self._common_head
        if own_headers:
            lines = _encode_lines(own_headers)
            if not self._lines.keys().isdisjoint(lines):
                head = b"".join([line for name, line in self._lines.items() if name not in lines])
            head += b"".join(lines.values())
        return b"%bcontent-length: %d\r\n\r\n" % (head, body_bytes)

    def _encode(self) -> Origin:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            # Not the cause itself: its text quotes the URL.
            raise MalformedHead("the lane's URL is malformed") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise MalformedHead("the lane's URL has no host, or is neither http nor https")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.netloc.rpartition("@")[2]
        common = {"host": host, "accept": "*/*", "accept-encoding": "identity"}
        first_line = {"": _encode_line(f"POST {target} HTTP/1.1")}
        self._lines = first_line | _encode_lines(common) | _encode_lines(self.headers)
        self._common_head = b"".join(self._lines.values())
        is_encrypted = parts.scheme == "https"
        self._origin = Origin(parts.hostname, port or (443 if is_encrypted else 80), is_encrypted)
        return self._origin


def _encode_lines(headers: Mapping[str, str]) -> dict[str, bytes]:
    lines = {}
    for name, value in headers.items():
        name = name.lower()
        lines[name] = _encode_line(f"{name}: {value}")
    return lines


def _encode_line(line: str) -> bytes:
    if _NEVER_IN_A_LINE.search(line):
        raise MalformedHead("a header of the lane holds a line break")
    try:
        return f"{line}\r\n".encode("latin-1")
    except UnicodeEncodeError:
        # Not the cause itself: it carries the whole line.
        raise MalformedHead("a header of the lane holds a character outside Latin-1") from None
