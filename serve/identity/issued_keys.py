"""Virtual keys that are stored: issued, rotated, changed, revoked. A secret is shown once and never again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import translate
from typing import Any, Final, get_args

from serve.errors import BadRequestError
from serve.identity.names import checked_name
from serve.identity.rows import StoredVirtualKey
from serve.identity.virtual_key_repository import VirtualKeyRepository
from serve.identity.virtual_keys import AcceptedKey, VirtualKeyHolder, issue_virtual_key, key_digest, shown_part
from serve.settings import KeyScope
from serve.vault.vault import Vault

SCOPES: Final[tuple[str, ...]] = get_args(KeyScope)
LONGEST_OVERLAP: Final = timedelta(days=30)
_MOST_PATTERNS: Final = 64


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What a key may do.

    Args:
        scopes: Of `SCOPES`.
        lanes: Patterns; empty: all lanes.
        tags: Put on each request.
        requests_per_minute, tokens_per_minute: At least 1; None: no limit.
        expires_at: None: never.
    """

    scopes: tuple[str, ...] = ("inference",)
    lanes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key with its secret, for the one time that it is shown."""

    key: StoredVirtualKey
    secret: str = field(repr=False)


class IssuedKeys:
    """Issues virtual keys and knows which are accepted.

    Args:
        repository: Where they are kept.
        vault: For the pepper of their hashes.
        now: The present moment.
    """

    def __init__(self, repository: VirtualKeyRepository, vault: Vault, now: Callable[[], datetime]) -> None:
        self.repository = repository
        self._vault = vault
        self._now = now

    def issue(self, account: str, name: str, terms: KeyTerms, actor: str, *, is_test: bool = False) -> IssuedKey:
        """Issue a key.

        Raises:
            BadRequestError: The name is taken or none, or the terms make no sense.
            VaultError: There is no master key.
        """
        checked_name(name, "name")
        _check(terms, self._now())
        secret = issue_virtual_key("test" if is_test else "live")
        key = StoredVirtualKey(
            account=account,
            name=name,
            shown=shown_part(secret),
            scopes=terms.scopes,
            lanes=terms.lanes,
            tags=terms.tags,
            requests_per_minute=terms.requests_per_minute,
            tokens_per_minute=terms.tokens_per_minute,
            expires_at=terms.expires_at,
            created_at=self._now(),
            created_by=actor,
            revoked_at=None,
            last_used_at=None,
        )
        self.repository.add(key, self._digest(secret))
        return IssuedKey(key, secret)

    def rotate(self, account: str, name: str, overlap: timedelta, actor: str) -> IssuedKey:
        """Issue a new secret for a key; the old one is accepted for `overlap` more.

        Raises:
            BadRequestError: The overlap is negative or longer than 30 days.
            NotFoundError: There is no such key, or it was revoked.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise BadRequestError(f"overlap: between 0 and {LONGEST_OVERLAP.days} days, please", param="overlap_s")
        secret = issue_virtual_key()
        self.repository.rotate(account, name, shown_part(secret), self._digest(secret), self._now() + overlap, actor)
        return IssuedKey(self.repository.find(account, name), secret)

    def change(self, account: str, name: str, actor: str, **changed: Any) -> StoredVirtualKey:
        """Change some of a key's terms, named as in `KeyTerms`.

        Raises:
            BadRequestError: The terms make no sense.
            NotFoundError: There is no such key, or it was revoked.
        """
        _check(KeyTerms(**changed), self._now())
        self.repository.change(account, name, actor, **changed)
        return self.repository.find(account, name)

    def accepted(self) -> list[AcceptedKey]:
        """Return the keys that are accepted now, of all accounts, for the key ring."""
        return [
            AcceptedKey(secret.digest, _holder(secret.key), secret.expires_at) for secret in self.repository.accepted()
        ]

    def _digest(self, secret: str) -> bytes:
        return key_digest(self._vault.pepper(), secret)


def _holder(key: StoredVirtualKey) -> VirtualKeyHolder:
    return VirtualKeyHolder(
        virtual_key_id=key.virtual_key_id,
        account=key.account,
        lanes=key.lanes,
        tags=key.tags,
        scopes=frozenset(key.scopes),
        requests_per_minute=key.requests_per_minute,
        tokens_per_minute=key.tokens_per_minute,
    )


def _check(terms: KeyTerms, now: datetime) -> None:
    if not terms.scopes or any(scope not in SCOPES for scope in terms.scopes):
        raise BadRequestError(f"scopes: give one or more of {', '.join(SCOPES)}", param="scopes")
    _check_texts("lanes", terms.lanes)
    _check_texts("tags", terms.tags)
    for pattern in terms.lanes:
        translate(pattern)
    for name in ("requests_per_minute", "tokens_per_minute"):
        limit = getattr(terms, name)
        if limit is not None and not 1 <= limit < 2**53:
            raise BadRequestError(f"{name}: give a whole number, at least 1, or nothing for no limit", param=name)
    if terms.expires_at is not None and (terms.expires_at.tzinfo is None or terms.expires_at <= now):
        raise BadRequestError("expires_at: give a moment to come, with its time zone", param="expires_at")


def _check_texts(name: str, texts: Sequence[str]) -> None:
    if len(texts) > _MOST_PATTERNS or any(not 1 <= len(text) <= 200 or "\x00" in text for text in texts):
        raise BadRequestError(f"{name}: at most {_MOST_PATTERNS}, of 1 to 200 characters each", param=name)
