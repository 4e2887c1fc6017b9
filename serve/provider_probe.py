"""Asks a provider whether it takes a key, by a call that costs nothing."""

import http.client
from collections.abc import Mapping
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

_TIMEOUT_S: Final = 10.0
_REFUSED: Final = frozenset({401, 403})


class _NoRedirects(HTTPRedirectHandler):
    """A redirect could lead the key to another host."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> None:
        return None


def probe(url: str, headers: Mapping[str, str]) -> str:
    """Return `accepted`, `refused`, or `unknown: ` and why. Blocks for at most ten seconds or so.

    Args:
        url: What to get.
        headers: With the key.
    """
    sent = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    try:
        with build_opener(_NoRedirects).open(Request(url, headers=sent), timeout=_TIMEOUT_S):  # noqa: S310 - https or the operator's own
            return "accepted"
    except HTTPError as error:
        return "refused" if error.code in _REFUSED else f"unknown: the provider answered {error.code}"
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        return f"unknown: the provider could not be reached ({type(error).__name__})"
