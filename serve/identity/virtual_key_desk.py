"""The desk for virtual keys: the one place where they are issued, changed, rotated and revoked.

The admin API, the dashboard and the command line call it. Each call checks what the actor may do, is one database
transaction with its audit entries, and takes effect in this process at once. A secret is shown once, when it is made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fnmatch import translate
from typing import Any, Final, get_args

from serve.errors import BadRequestError
from serve.identity.account_repository import AccountRepository
from serve.identity.audit_repository import AuditRepository
from serve.identity.key_budgets import KeyBudgets
from serve.identity.names import checked_name
from serve.identity.roles import Actor, Role
from serve.identity.rows import StoredVirtualKey
from serve.identity.virtual_key_repository import VirtualKeyRepository
from serve.identity.virtual_keys import issue_virtual_key, key_digest, shown_part
from serve.settings import KeyScope
from serve.vault.vault import Vault

SCOPES: Final[tuple[str, ...]] = get_args(KeyScope)
LONGEST_OVERLAP: Final = timedelta(days=30)
_MOST_PATTERNS: Final = 64


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What a virtual key may do.

    Args:
        scopes: Scopes out of `SCOPES`, at least one.
        lanes: Patterns of the lanes that the key may use; empty: all lanes.
        tags: Tags that are put on each request.
        requests_per_minute, tokens_per_minute: Limits, at least 1; None: no limit.
        expires_at: Time from which the key is refused; None: it does not expire.
    """

    scopes: tuple[str, ...] = ("inference",)
    lanes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A virtual key together with its secret, for the one time that the secret is shown."""

    key: StoredVirtualKey
    secret: str = field(repr=False)


class VirtualKeyDesk:
    """Issues, changes, rotates and revokes virtual keys.

    Every method raises `NotFoundError` where there is no such account or key, and `ForbiddenError` where the actor is
    not an admin of the account, or where the key may do more than the actor.

    Args:
        keys: Stored virtual keys.
        accounts: Stored accounts.
        audit: Audit log, whose transactions are used.
        vault: Vault that holds the pepper of the keys' hashes.
        budgets: Port to the budgets of keys.
        use_now: Function that makes this process apply a change that was stored.
    """

    def __init__(
        self,
        keys: VirtualKeyRepository,
        accounts: AccountRepository,
        audit: AuditRepository,
        vault: Vault,
        budgets: KeyBudgets,
        use_now: Callable[[], None],
    ) -> None:
        self._keys = keys
        self._accounts = accounts
        self._audit = audit
        self._vault = vault
        self._budgets = budgets
        self._use_now = use_now

    def issue(
        self,
        account: str,
        name: str,
        terms: KeyTerms,
        actor: Actor,
        *,
        budget_usd: Decimal | None = None,
        is_test: bool = False,
    ) -> IssuedKey:
        """Issue a virtual key; return it with its secret.

        Args:
            account: Account that owns the key.
            name: Name of the key; no key of the account ever had it.
            terms: Uses and limits of the key.
            actor: Identity that issues it.
            budget_usd: Monthly budget, US dollars; None: none of its own.
            is_test: Whether the secret begins with `ll_test_` instead of `ll_live_`.

        Raises:
            BadRequestError: The name is malformed or taken, the terms are wrong, or the budget is refused.
            VaultError: There is no master key.
        """
        _check_may_hold(actor, account, terms.scopes)
        checked_name(name, "name")
        _check_terms(terms, self._audit.now())
        secret = issue_virtual_key("test" if is_test else "live")
        digest = self._digest(secret)  # before the transaction: the vault may have to store its first data key
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
            created_at=self._audit.now(),
            created_by=actor.name,
            revoked_at=None,
            last_used_at=None,
        )
        with self._audit.transaction() as connection:
            self._accounts.find(account, connection)
            self._keys.add(key, digest, connection)
            if budget_usd is not None:
                self._budgets.limit_virtual_key(connection, key, budget_usd, actor)
        self._use_now()
        return IssuedKey(key, secret)

    def change(self, account: str, name: str, actor: Actor, **changed: Any) -> StoredVirtualKey:
        """Change some of a key's terms, named as in `KeyTerms`; return the key as it is now.

        Raises:
            BadRequestError: The terms are wrong.
        """
        _check_may_hold(actor, account, self._keys.find(account, name).scopes)
        _check_may_hold(actor, account, changed.get("scopes", ()))
        _check_terms(KeyTerms(**changed), self._audit.now())
        if changed:
            self._keys.change(account, name, actor.name, **changed)
            self._use_now()
        return self._keys.find(account, name)

    def rotate(self, account: str, name: str, overlap: timedelta, actor: Actor) -> IssuedKey:
        """Issue a new secret for a key. The old one is accepted for `overlap` more.

        Raises:
            BadRequestError: The overlap is negative or longer than 30 days.
            VaultError: There is no master key.
        """
        _check_may_hold(actor, account, self._keys.find(account, name).scopes)
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise BadRequestError(
                f"overlap: {overlap} is out of range. Choose between 0 and {LONGEST_OVERLAP.days} days.",
                param="overlap_s",
            )
        secret = issue_virtual_key()
        old_until = self._audit.now() + overlap
        self._keys.rotate(account, name, shown_part(secret), self._digest(secret), old_until, actor.name)
        self._use_now()
        return IssuedKey(self._keys.find(account, name), secret)

    def revoke(self, account: str, name: str, actor: Actor) -> None:
        """Refuse a key from now on. Its name is not given again, so that its history stays its own."""
        actor.require(account, Role.ADMIN)
        self._keys.revoke(account, name, actor.name)
        self._use_now()

    def _digest(self, secret: str) -> bytes:
        return key_digest(self._vault.pepper(), secret)


def _check_may_hold(actor: Actor, account: str, scopes: Sequence[str]) -> None:
    """Check that the actor may do everything that a key with these scopes may do.

    Raises:
        NotFoundError: The actor is not in the account.
        ForbiddenError: The actor's role there is too low.
    """
    actor.require(account, Role.OWNER if "owner" in scopes else Role.ADMIN)


def _check_terms(terms: KeyTerms, now: datetime) -> None:
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
        raise BadRequestError("expires_at: give a time in the future, with its time zone", param="expires_at")


def _check_texts(name: str, texts: Sequence[str]) -> None:
    if len(texts) > _MOST_PATTERNS or any(not 1 <= len(text) <= 200 or "\x00" in text for text in texts):
        raise BadRequestError(f"{name}: give at most {_MOST_PATTERNS}, of 1 to 200 characters each", param=name)
