"""The keys we issue: their form, their checksum, and the ring that recognises them without keeping them in the clear.

`ll_live_` or `ll_test_`, 30 base62 characters, 6 base62 characters of CRC32 over what comes before them.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from serve.errors import BadVirtualKeyError, ConfigurationError

VIRTUAL_KEY_PATTERN = r"ll_(live|test)_[0-9A-Za-z]{36}"
"""For secret scanners."""

INFERENCE: Final = frozenset({"inference"})

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARACTERS = 30
_CHECKSUM_CHARACTERS = 6


def issue_virtual_key(kind: Literal["live", "test"] = "live") -> str:
    """Return a fresh virtual key with 178 bits of randomness."""
    stem = f"ll_{kind}_" + "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_CHARACTERS))
    return stem + _checksum(stem)


def shown_part(key: str) -> str:
    """Return as much of a virtual key as people may see, to tell keys apart: `ll_live_abcd…wxyz`."""
    return f"{key[:12]}…{key[-4:]}"


def is_well_formed(text: str) -> bool:
    """Return whether `text` has the form of a virtual key and its checksum holds."""
    return (
        bool(re.fullmatch(VIRTUAL_KEY_PATTERN, text))
        and _checksum(text[:-_CHECKSUM_CHARACTERS]) == text[-_CHECKSUM_CHARACTERS:]
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
        lanes: Patterns of the lanes or vendor models that the key may use, such as `anthropic/*`; empty: all.
        tags: Put on each of its requests.
        scopes: What it may be used for: `inference`; `read`, `admin` and `owner` are of the admin API.
        requests_per_minute, tokens_per_minute: None: no limit.
    """

    virtual_key_id: str
    account: str
    lanes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    scopes: frozenset[str] = INFERENCE
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    @property
    def is_limited(self) -> bool:
        """Whether it has limits of a minute."""
        return self.requests_per_minute is not None or self.tokens_per_minute is not None


DEFAULT_ACCOUNT = "default"
"""The account of whoever is not in another one."""
ANONYMOUS = VirtualKeyHolder("anonymous", DEFAULT_ACCOUNT)
"""Who calls when no virtual key is configured; only ever reached over loopback."""


@dataclass(frozen=True, slots=True)
class AcceptedKey:
    """A key that was issued and stored, as the ring knows it.

    Args:
        digest: `key_digest` of it.
        holder: Whose it is.
        expires_at: Refused from then on; None: never.
    """

    digest: bytes
    holder: VirtualKeyHolder
    expires_at: datetime | None = None


class KeyRing:
    """Recognises virtual keys, those of the settings and those that are stored. Holds keyed hashes only, so that a dump of its tables shows no key.

    Args:
        configured: (holder, key) pairs.
        now: The present moment.

    Raises:
        ConfigurationError: A key is malformed or its checksum is wrong, or a name is given twice.
    """

    def __init__(
        self,
        configured: Sequence[tuple[VirtualKeyHolder, str]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._own_pepper = secrets.token_bytes(32)
        self._pepper = b""
        self._now = now
        self._configured: dict[bytes, AcceptedKey] = {}
        names = [holder.virtual_key_id for holder, _ in configured]
        for holder, text in configured:
            name = holder.virtual_key_id
            if names.count(name) > 1:
                raise ConfigurationError(f"two virtual keys are named {name!r}: give each its own name")
            if not is_well_formed(text):
                raise ConfigurationError(
                    f"the virtual key named {name!r} is not of the form {VIRTUAL_KEY_PATTERN} with a valid checksum: "
                    "make one with 'llmdeal new-key'"
                )
            digest = key_digest(self._own_pepper, text)
            self._configured[digest] = AcceptedKey(digest, holder)
        self._stored: dict[bytes, AcceptedKey] = {}
        self._found: dict[bytes, AcceptedKey] = {}
        self._is_closed = bool(configured)
        self._used: set[VirtualKeyHolder] = set()

    @property
    def is_closed(self) -> bool:
        """Whether it takes a key to be let in."""
        return self._is_closed

    def set_stored(self, stored: Sequence[AcceptedKey], pepper: bytes, *, was_any_issued: bool) -> None:
        """Recognise these keys from now on, beside those of the settings, and no others.

        Args:
            stored: Those that are accepted.
            pepper: Of their digests.
            was_any_issued: Whether any ever was; if so, nobody is anonymous any more, even if all were revoked since.
        """
        self._stored = {key.digest: key for key in stored}
        self._found = {}
        self._pepper = pepper
        self._is_closed = was_any_issued or bool(self._configured)

    def recognise(self, presented: str | None) -> VirtualKeyHolder:
        """Return who holds the key that was presented. While none was ever issued everybody is `ANONYMOUS`.

        Raises:
            BadVirtualKeyError: None was presented, or it is not one of ours.
        """
        if not self._is_closed:
            return ANONYMOUS
        key = self._find(presented) if presented else None
        if key is None or (key.expires_at is not None and key.expires_at <= self._now()):
            raise BadVirtualKeyError
        self._used.add(key.holder)
        return key.holder

    def holder_named(self, virtual_key_id: str) -> VirtualKeyHolder:
        """Return the holder of a key that was recognised before, if it is still accepted.

        Raises:
            BadVirtualKeyError: It is not.
        """
        for key in (*self._configured.values(), *self._stored.values()):
            if key.holder.virtual_key_id == virtual_key_id and (key.expires_at is None or key.expires_at > self._now()):
                return key.holder
        raise BadVirtualKeyError

    def take_used(self) -> set[VirtualKeyHolder]:
        """Return whose keys were recognised since the last time that this was asked."""
        used, self._used = self._used, set()
        return used

    def _find(self, presented: str) -> AcceptedKey | None:
        # A hash that is made in a tenth of the time, with a key that only this process knows, stands in for one that was found before.
        quick = hashlib.blake2b(presented.encode(errors="replace"), key=self._own_pepper).digest()
        key = self._found.get(quick)
        if key is None:
            key = self._configured.get(key_digest(self._own_pepper, presented))
            if key is None and self._stored:
                key = self._stored.get(key_digest(self._pepper, presented))
            if key is not None:
                self._found[quick] = key
        return key


def key_digest(pepper: bytes, text: str) -> bytes:
    """Return the keyed hash by which a virtual key is known: HMAC-SHA256."""
    return hmac.digest(pepper, text.encode(errors="replace"), "sha256")


def presented_key(authorization: bytes | None, x_api_key: bytes | None) -> str | None:
    """Return the virtual key from the `Authorization: Bearer` header, or from `x-api-key`; None when there is none."""
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        return authorization[7:].decode("latin-1").strip()
    return x_api_key.decode("latin-1").strip() if x_api_key is not None else None
