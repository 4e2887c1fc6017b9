"""Names that people give to accounts and keys, and other short texts that they type: checked, or refused.

Names are parts of ids, scopes and paths, so their form is narrow. A name is never used again.
"""

import re
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from serve.errors import BadRequestError

NAME_PATTERN: Final = r"[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?"
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")


def checked_name(text: str, what: str) -> str:
    """Return a name, if it is well-formed.

    Args:
        text: The name.
        what: Field that has the name, for the error: "account".

    Raises:
        BadRequestError: The name is malformed.
    """
    if not re.fullmatch(NAME_PATTERN, text):
        raise BadRequestError(
            f"{what}: {text[:80]!r} is no name: write 1 to 64 of a-z, 0-9, '-', '_', '.', "
            "beginning and ending with a letter or digit",
            param=what,
        )
    return text


def checked_email(text: str) -> str:
    """Return an e-mail address in lower case.

    Raises:
        BadRequestError: The text is no e-mail address.
    """
    email = text.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise BadRequestError(f"email: {text[:80]!r} is no e-mail address", param="email")
    return email


def checked_zone(name: str) -> str:
    """Return the name of a time zone.

    Raises:
        BadRequestError: The IANA database has no time zone of this name.
    """
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadRequestError(
            f"time_zone: {name!r} is not in the IANA database: write a name such as Europe/Berlin", param="time_zone"
        ) from None


def qualified(account: str, name: str, default_account: str) -> str:
    """Return a name that is unique over all accounts: the account and the name, or for `default_account` the name."""
    return name if account == default_account else f"{account}/{name}"
