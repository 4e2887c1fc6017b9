"""Credentials that are more than a key, as people store them: read, checked, and made into signers. Nothing of them is ever in an error.

Google Cloud: the JSON of a service account. AWS: `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, and after another colon a session token.
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
    """One pair of AWS keys; `session_token` None: they do not expire."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def is_aws_pair(text: str) -> bool:
    """Return whether this is a pair of AWS keys, and no bearer token."""
    return _AWS_FORM.fullmatch(text.strip()) is not None


def read_aws_pair(text: str) -> AwsKeys:
    """Return the keys of a stored pair.

    Raises:
        ConfigurationError: It is none.
    """
    found = _AWS_FORM.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(
            "write AWS keys as ACCESS_KEY_ID:SECRET_ACCESS_KEY, and a session token after another colon"
        )
    return AwsKeys(found[1], found[2], found[3])


def read_service_account(text: str, *, is_trusted: bool) -> Credentials:
    """Return a Google service account.

    Args:
        text: The JSON of its file.
        is_trusted: Whoever runs the gateway brought it: it may name any token endpoint, on their own network too.

    Raises:
        ConfigurationError: It is none, or would have the gateway ask a foreign endpoint for tokens.
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
