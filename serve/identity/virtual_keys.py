"""The form and checksum of virtual keys, and the key ring, which recognises them by their hashes.

A key is `ll_live_` or `ll_test_`, 30 base62 characters, and 6 base62 characters of CRC32 over everything before them.
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
from serve.settings import Settings

VIRTUAL_KEY_PATTERN = r"ll_(live|test)_[0-9A-Za-z]{36}"
"""Form of a virtual key, for secret scanners."""

INFERENCE: Final = frozenset({"inference"})

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARACTERS = 30
_CHECKSUM_CHARACTERS = 6


def issue_virtual_key(kind: Literal["live", "test"] = "live") -> str:
    """Return a fresh virtual key with 178 bits of randomness."""
    stem = f"ll_{kind}_" + "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_CHARACTERS))
    return stem + _checksum(stem)


def shown_part(key: str) -> str:
    """Return the part of a virtual key that people may see, to tell keys apart: `ll_live_abcd…wxyz`."""
    return f"{key[:12]}…{key[-4:]}"


def is_well_formed(text: str) -> bool:
    """Return whether `text` has the form of a virtual key and a valid checksum."""
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
    """The caller that a virtual key stands for.

    Args:
        virtual_key_id: Name of the key; safe to log.
        account: Account that its requests count towards.
        lanes: Patterns of the lanes or vendor models that the key may use, such as `anthropic/*`; empty: all.
        tags: Tags that are put on each of its requests.
        scopes: Uses that are allowed: `inference` asks models; `read`, `admin` and `owner` are for the admin API.
        requests_per_minute, tokens_per_minute: Limits; None: no limit.
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
        """Whether the key has a limit per minute."""
        return self.requests_per_minute is not None or self.tokens_per_minute is not None


DEFAULT_ACCOUNT = "default"
"""The account that runs the gateway. The keys of the settings belong to it."""
ANONYMOUS = VirtualKeyHolder("anonymous", DEFAULT_ACCOUNT)
"""The caller while no virtual key was ever issued; it can only come over loopback."""


@dataclass(frozen=True, slots=True)
class AcceptedKey:
    """One secret that the key ring accepts.

    Args:
        digest: Keyed hash of the secret, by `key_digest`.
        holder: Caller that the secret stands for.
        expires_at: Time from which it is refused; None: it does not expire.
    """

    digest: bytes
    holder: VirtualKeyHolder
    expires_at: datetime | None = None


class KeyRing:
    """Recognises virtual keys: the keys of the settings, and the stored ones.

    It holds keyed hashes only, so that a dump of its memory shows no key.

    Args:
        configured: Pairs (holder, key) of the settings.
        now: Function that returns the present time.

    Raises:
        ConfigurationError: A key is malformed or has a wrong checksum, or two keys have the same name.
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
        self._recognised: dict[bytes, AcceptedKey] = {}
        self._is_closed = bool(configured)
        self._used: set[VirtualKeyHolder] = set()

    @property
    def is_closed(self) -> bool:
        """Whether callers need a virtual key."""
        return self._is_closed

    def set_stored(self, stored: Sequence[AcceptedKey], pepper: bytes, *, was_any_issued: bool) -> None:
        """Recognise these stored keys from now on, next to the keys of the settings.

        Args:
            stored: Secrets that are accepted.
            pepper: Secret bytes that their digests were made with.
            was_any_issued: Whether a key was ever issued. If so, every caller needs a key from now on, even when all
                keys were revoked since.
        """
        self._stored = {key.digest: key for key in stored}
        self._recognised = {}
        self._pepper = pepper
        self._is_closed = was_any_issued or bool(self._configured)

    def recognise(self, presented: str | None) -> VirtualKeyHolder:
        """Return the holder of the key that was presented; `ANONYMOUS` while no key was ever issued.

        Raises:
            BadVirtualKeyError: No key was presented, or it is not accepted.
        """
        if not self._is_closed:
            return ANONYMOUS
        key = self._find(presented) if presented else None
        if key is None or (key.expires_at is not None and key.expires_at <= self._now()):
            raise BadVirtualKeyError
        self._used.add(key.holder)
        return key.holder

    def holder_named(self, virtual_key_id: str) -> VirtualKeyHolder:
        """Return the holder of a key that was recognised before, if the key is still accepted.

        Raises:
            BadVirtualKeyError: The key is no longer accepted.
        """
        for key in (*self._configured.values(), *self._stored.values()):
            if key.holder.virtual_key_id == virtual_key_id and (key.expires_at is None or key.expires_at > self._now()):
                return key.holder
        raise BadVirtualKeyError

    def take_used(self) -> set[VirtualKeyHolder]:
        """Return the holders of the keys that were recognised since the previous call."""
        used, self._used = self._used, set()
        return used

    def _find(self, presented: str) -> AcceptedKey | None:
        # A key that was recognised before is found by a faster hash: a tenth of the time, keyed by this process alone.
        quick = hashlib.blake2b(presented.encode(errors="replace"), key=self._own_pepper).digest()
        key = self._recognised.get(quick)
        if key is None:
            key = self._configured.get(key_digest(self._own_pepper, presented))
            if key is None and self._stored:
                key = self._stored.get(key_digest(self._pepper, presented))
            if key is not None:
                self._recognised[quick] = key
        return key


def key_digest(pepper: bytes, text: str) -> bytes:
    """Return the keyed hash by which a virtual key is recognised: HMAC-SHA256."""
    return hmac.digest(pepper, text.encode(errors="replace"), "sha256")


def presented_key(authorization: bytes | None, x_api_key: bytes | None) -> str | None:
    """Return the virtual key of the `Authorization: Bearer` header, else of `x-api-key`; None: neither has one."""
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        return authorization[7:].decode("latin-1").strip()
    return x_api_key.decode("latin-1").strip() if x_api_key is not None else None


def configured_keys(settings: Settings) -> list[tuple[VirtualKeyHolder, str]]:
    """Return (holder, key) of every virtual key; the keys of `LLMDEAL_KEYS` are named env-1, env-2 and so on."""
    entries = {entry.name: entry for entry in settings.virtual_keys}
    holders = []
    for name, key in settings.named_virtual_keys():
        entry = entries.get(name)
        holder = VirtualKeyHolder(name, DEFAULT_ACCOUNT)
        if entry is not None:
            holder = VirtualKeyHolder(
                virtual_key_id=name,
                account=DEFAULT_ACCOUNT,
                lanes=entry.lanes,
                tags=entry.tags,
                scopes=frozenset(entry.scopes),
                requests_per_minute=entry.requests_per_minute,
                tokens_per_minute=entry.tokens_per_minute,
            )
        holders.append((holder, key))
    return holders
