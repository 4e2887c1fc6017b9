"""Google Cloud: a bearer token from a service account or from the machine's own credentials.

A new token is fetched before the last one expires.

Source: google-auth 2.62.2, read 2026-11-24.
"""

import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serve.errors import ConfigurationError
from serve.upstream.signing.signer import CredentialsUnavailable

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_EARLY_S = 300.0
_SHORTEST_WAIT_S = 5.0
_TIMEOUT_S = 20.0


class GoogleSigner:
    """Signs for one project.

    Args:
        file: JSON file of a service account; None: the machine's own credentials (`gcloud auth application-default
            login`, or its metadata server).
        account: Content of such a file, instead of the file.

    Raises:
        ConfigurationError: google-auth is not installed, the file cannot be read, or it holds no credentials of Google.
    """

    name = "Google Cloud"

    def __init__(self, file: Path | None, account: Mapping[str, Any] | None = None) -> None:
        try:
            import google.auth
            from google.auth.exceptions import GoogleAuthError
            from google.oauth2 import service_account
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "signing in to Google Cloud needs google-auth: pip install 'llmdeal[google]'"
            ) from error
        self._error = GoogleAuthError
        try:
            if account is not None:
                self._credentials = service_account.Credentials.from_service_account_info(
                    dict(account), scopes=[_SCOPE]
                )
                project = self._credentials.project_id
            elif file is not None:
                self._credentials = service_account.Credentials.from_service_account_file(str(file), scopes=[_SCOPE])
                project = self._credentials.project_id
            else:
                self._credentials, project = google.auth.default(scopes=[_SCOPE])
        except (GoogleAuthError, OSError, ValueError) as error:
            # The text of an error may quote the file, which holds a private key.
            where = (
                "the service account"
                if account is not None
                else "the machine's own credentials"
                if file is None
                else str(file)
            )
            raise ConfigurationError(f"Google Cloud: {where}: no usable credentials ({type(error).__name__})") from None
        self.project: str | None = project
        self._token: str | None = None
        self._expires_at: datetime | None = None

    def sign(self, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """See `Signer.sign`."""
        if self._token is None or (self._expires_at is not None and self._expires_at <= datetime.now(UTC)):
            raise CredentialsUnavailable("there is no token of Google yet")
        return {"authorization": f"Bearer {self._token}"}

    def refresh(self) -> float:
        """Exchange the credentials for a token."""
        try:
            self._credentials.refresh(_post)
        except self._error as error:
            # Not the cause itself: its text is the answer of the token endpoint.
            raise CredentialsUnavailable(f"no token could be fetched: {type(error).__name__}") from None
        self._token = self._credentials.token
        expiry = self._credentials.expiry
        self._expires_at = None if expiry is None else expiry.replace(tzinfo=UTC)
        if self._expires_at is None:
            return _EARLY_S
        left_s: float = (self._expires_at - datetime.now(UTC)).total_seconds()
        return max(left_s - _EARLY_S, _SHORTEST_WAIT_S)


class _Response:
    """The parts of a response that google-auth reads."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


def _post(
    url: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_: Any,
) -> _Response:
    """Send a request of google-auth with the standard library: one token an hour needs no other HTTP client.

    Raises:
        google.auth.exceptions.TransportError: There was no answer.
    """
    from google.auth.exceptions import TransportError

    data = body.encode() if isinstance(body, str) else body
    # The URL is the token address in the credentials of the operator.
    request = urllib.request.Request(url, data, dict(headers or {}), method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=timeout or _TIMEOUT_S) as response:  # noqa: S310
            return _Response(response.status, dict(response.headers.items()), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return _Response(error.code, dict(error.headers.items()), error.read())
    except OSError as error:
        raise TransportError(type(error).__name__) from error
