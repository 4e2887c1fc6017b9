"""The keys we issue: their form, their checksum, and the ring that recognises them without keeping them in the clear.

`ll_live_` or `ll_test_`, 30 base62 characters, 6 base62 characters of CRC32 over what comes before them.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from serve.errors import BadVirtualKeyError, ConfigurationError

VIRTUAL_KEY_PATTERN = r"ll_(live|test)_[0-9A-Za-z]{36}"
"""For secret scanners."""

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARACTERS = 30
_CHECKSUM_CHARACTERS = 6


def issue_virtual_key(kind: Literal["live", "test"] = "live") -> str:
    """Return a fresh virtual key with 178 bits of randomness."""
    stem = f"ll_{kind}_" + "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_CHARACTERS))
    return stem + _checksum(stem)


def is_well_formed(text: str) -> bool:
    """Return whether `text` has the form of a virtual key and its checksum holds."""
    return (
        bool(re.fullmatch(VIRTUAL_KEY_PATTERN, text)) and _checksum(text[:-_CHECKSUM_CHARACTERS]) == text[-_CHECKSUM_CHARACTERS:]
    )


def _checksum(stem: str) -> str:
    number = zlib.crc32(stem.encode())
    digits = []
    for _ in range(_CHECKSUM_CHARACTERS):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


@dataclass(frozen=True, slots=True)
class VirtualKeyHolder:
    """Who calls, once the key was recognised.

    Args:
        virtual_key_id: A name that is safe to log.
        account: The account that requests count towards.
    """

    virtual_key_id: str
    account: str


DEFAULT_ACCOUNT = "default"
"""The account of whoever is not in another one."""
ANONYMOUS = VirtualKeyHolder("anonymous", DEFAULT_ACCOUNT)
"""Who calls when no virtual key is configured; only ever reached over loopback."""


class KeyRing:
    """Recognises the configured virtual keys. Holds keyed hashes only, so that a dump of memory's tables shows no key.

    Args:
        virtual_keys: (name, key) pairs.

    Raises:
        ConfigurationError: A key is malformed or its checksum is wrong, or a name is given twice.
    """

    def __init__(self, virtual_keys: Sequence[tuple[str, str]]) -> None:
        self._pepper = secrets.token_bytes(32)
        self._holders: dict[bytes, VirtualKeyHolder] = {}
        names = [name for name, _ in virtual_keys]
        for name, text in virtual_keys:
            if names.count(name) > 1:
                raise ConfigurationError(f"two virtual keys are named {name!r}: give each its own name")
            if not is_well_formed(text):
                raise ConfigurationError(
                    f"the virtual key named {name!r} is not of the form {VIRTUAL_KEY_PATTERN} with a valid checksum: "
                    "make one with 'llmdeal new-key'"
                )
            self._holders[self._digest(text)] = VirtualKeyHolder(name, DEFAULT_ACCOUNT)

    def __len__(self) -> int:
        return len(self._holders)

    def recognise(self, presented: str | None) -> VirtualKeyHolder:
        """Return who holds the key that was presented. With no key configured everybody is `ANONYMOUS`.

        Raises:
            BadVirtualKeyError: None was presented, or it is not one of ours.
        """
        if not self._holders:
            return ANONYMOUS
        holder = self._holders.get(self._digest(presented)) if presented else None
        if holder is None:
            raise BadVirtualKeyError
        return holder

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=self._pepper, digest_size=32).digest()  # keyed, RFC 7693, 2.9


def presented_key(authorization: bytes | None, x_api_key: bytes | None) -> str | None:
    """Return the virtual key from the `Authorization: Bearer` header, or from `x-api-key`; None when there is none."""
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        return authorization[7:].decode("latin-1").strip()
    return x_api_key.decode("latin-1").strip() if x_api_key is not None else None
