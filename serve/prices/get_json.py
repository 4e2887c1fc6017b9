"""Gets a table of prices over HTTP or from a file. Blocks."""

import http.client
from collections.abc import Mapping
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

MOST_BYTES: Final = 64 * 1024 * 1024
_TIMEOUT_S: Final = 30.0


class FetchFailed(Exception):  # noqa: N818 - reads as what happened
    """A source gave no table. The text never carries a key or the query of an address."""


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect, because a redirect could send a key to another host."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> None:
        return None


def get_bytes(url: str, headers: Mapping[str, str]) -> tuple[bytes, date | None]:
    """Return what a URL answers, and the day of the file if the server says it.

    Raises:
        FetchFailed: The server cannot be reached, answers with an error, or sends more than `MOST_BYTES`.
    """
    sent = {"user-agent": "llmdeal", "accept": "application/json", **headers}
    sent.pop("content-type", None)
    try:
        with build_opener(_NoRedirects).open(Request(url, headers=sent), timeout=_TIMEOUT_S) as answer:  # noqa: S310
            content = answer.read(MOST_BYTES + 1)
            modified = answer.headers.get("last-modified")
    except HTTPError as error:
        raise FetchFailed(f"the server answered {error.code}") from None
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None)
        detail = f"{type(reason).__name__}" if isinstance(reason, Exception) else type(error).__name__
        raise FetchFailed(f"the server could not be reached ({detail})") from None
    if len(content) > MOST_BYTES:
        raise FetchFailed(f"the answer has more than {MOST_BYTES:,} bytes")
    return content, _day_of(modified)


def read_file(path: Path) -> tuple[bytes, date]:
    """Return the content of a file, and the day on which it was changed.

    Raises:
        FetchFailed: It cannot be read.
    """
    try:
        return path.read_bytes(), datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
    except OSError as error:
        raise FetchFailed(f"the file cannot be read ({error.strerror})") from None


def _day_of(modified: str | None) -> date | None:
    try:
        return None if modified is None else parsedate_to_datetime(modified).date()
    except ValueError:
        return None
