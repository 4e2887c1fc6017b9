"""Asks a provider whether it accepts a key, by a call that costs nothing."""

import http.client
from collections.abc import Mapping
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from serve.upstream.signing.signer import CredentialsUnavailable, Signer

_TIMEOUT_S: Final = 10.0
_REFUSED: Final = frozenset({401, 403})


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect, because a redirect could send the key to another host."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> None:
        return None


_STS: Final = "https://sts.amazonaws.com/"
_CALLER_IDENTITY: Final = b"Action=GetCallerIdentity&Version=2011-06-15"


def probe_signer(signer: Signer, sts_url: str = _STS) -> str:
    """Test credentials that sign requests; return the same as `probe`. Blocks.

    Google issues a token for them. AWS names the identity that they belong to.

    Args:
        signer: Signer that has the credentials.
        sts_url: Address of AWS's Security Token Service.
    """
    from serve.upstream.signing.aws import AwsSigner

    if isinstance(signer, AwsSigner):
        headers = dict(signer.sign_identity_call(sts_url, _CALLER_IDENTITY))
        return _outcome(Request(sts_url, _CALLER_IDENTITY, headers, method="POST"))  # noqa: S310 - https or a test's
    try:
        signer.refresh()
    except CredentialsUnavailable as error:
        is_refusal = str(error).endswith("RefreshError")
        return "refused" if is_refusal else f"unknown: {error}"
    return "accepted"


def probe(url: str, headers: Mapping[str, str]) -> str:
    """Test a key by getting a URL. Blocks for about ten seconds at most.

    Args:
        url: Address to get.
        headers: Headers of the call, with the key.

    Returns:
        `accepted`, `refused`, or `unknown: ` and the reason.
    """
    sent = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    return _outcome(Request(url, headers=sent))  # noqa: S310 - https or the operator's own


def _outcome(request: Request) -> str:
    try:
        with build_opener(_NoRedirects).open(request, timeout=_TIMEOUT_S):
            return "accepted"
    except HTTPError as error:
        return "refused" if error.code in _REFUSED else f"unknown: the provider answered {error.code}"
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        return f"unknown: the provider could not be reached ({type(error).__name__})"
