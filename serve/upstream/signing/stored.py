"""Credentials with more than one part, as people store them: read and checked. No error ever shows any part of them.

- Google Cloud: the JSON of a service account.
- AWS: `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, and after another colon a session token.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from serve.errors import ConfigurationError

Credentials = dict[str, Any]
_GOOGLE_FIELDS: Final = ("client_email", "private_key", "token_uri", "project_id")
_GOOGLE_HOST: Final = "googleapis.com"
_AWS_FORM: Final = re.compile(r"([A-Z0-9]{16,128}):([A-Za-z0-9/+=]{16,})(?::([A-Za-z0-9/+=]+))?")


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """One pair of AWS keys; `session_token` None: the pair does not expire."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def is_aws_pair(text: str) -> bool:
    """Return whether this is a pair of AWS keys, not a bearer token."""
    return _AWS_FORM.fullmatch(text.strip()) is not None


def read_aws_pair(text: str) -> AwsKeys:
    """Return the keys of a stored pair.

    Raises:
        ConfigurationError: The text is no pair of AWS keys.
    """
    match = _AWS_FORM.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(
            "write AWS keys as ACCESS_KEY_ID:SECRET_ACCESS_KEY, and a session token after another colon"
        )
    return AwsKeys(match[1], match[2], match[3])


def read_service_account(text: str, *, is_trusted: bool) -> Credentials:
    """Return a Google service account.

    Args:
        text: JSON of its file.
        is_trusted: Whether the operator brought it. Then it may name any token endpoint, also one in a private network.

    Raises:
        ConfigurationError: The text is no service account, or names a token endpoint that is not Google's.
    """
    try:
        account = json.loads(text)
    except ValueError:
        # Not the cause itself: it carries the whole text.
        raise ConfigurationError("paste the whole JSON of a service account's file") from None
    if not isinstance(account, dict) or account.get("type") != "service_account":
        raise ConfigurationError("this JSON is no service account: its type must be service_account")
    missing = [name for name in _GOOGLE_FIELDS if not isinstance(account.get(name), str) or not account[name]]
    if missing:
        raise ConfigurationError(f"the service account lacks {', '.join(missing)}")
    address = urlsplit(account["token_uri"])
    host = address.hostname or ""
    is_googles = address.scheme == "https" and (host == _GOOGLE_HOST or host.endswith(f".{_GOOGLE_HOST}"))
    if not is_googles and not is_trusted:
        raise ConfigurationError(f"token_uri: a service account's tokens come from {_GOOGLE_HOST}")
    return account
