"""Provider keys in the database, sealed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from serve.errors import BadRequestError, NotFoundError
from serve.identity.audit_repository import AuditRepository
from serve.identity.rows import StoredProviderKey
from serve.instant import from_microseconds, to_microseconds
from serve.storage.identity_tables import ACCOUNT_TABLE, PROVIDER_KEY_TABLE

_KEY: Final = PROVIDER_KEY_TABLE.c


@dataclass(frozen=True, slots=True)
class SealedProviderKey:
    """A provider key as it is stored.

    Args:
        key: Everything about the key that people may see.
        sealed: Record of the vault that holds the secret.
    """

    key: StoredProviderKey
    sealed: bytes


class ProviderKeyRepository:
    """Reads and changes provider keys.

    Every `within` is the connection of a transaction to join; None: the method has a transaction of its own.

    Args:
        audit: Audit log, whose transactions are used.
    """

    def __init__(self, audit: AuditRepository) -> None:
        self._audit = audit

    def add(self, key: StoredProviderKey, sealed: bytes, within: Connection | None = None) -> None:
        """Store a new key.

        Raises:
            BadRequestError: The account has a key of this name at this provider.
        """
        values = {
            "account": key.account,
            "provider": key.provider,
            "name": key.name,
            "sealed": sealed,
            "last_four": key.last_four,
            "fingerprint": key.fingerprint,
            "organisation": key.organisation,
            "base_url": key.base_url,
            "region": key.region,
            "is_enabled": key.is_enabled,
            "created_at_us": to_microseconds(key.created_at),
            "created_by": key.created_by,
        }
        shown = {"last_four": key.last_four, "fingerprint": key.fingerprint}
        try:
            with self._audit.change(
                key.account, key.created_by, "provider_key.create", key.lane_prefix, within, **shown
            ) as connection:
                connection.execute(insert(PROVIDER_KEY_TABLE).values(values))
        except IntegrityError:
            raise BadRequestError(
                f"name: there is a key {key.name!r} at {key.provider} already; replace it, or choose another name",
                param="name",
            ) from None

    def change(
        self, account: str, provider: str, name: str, actor: str, within: Connection | None = None, **columns: Any
    ) -> None:
        """Change a key; `columns` are columns of the table.

        Raises:
            NotFoundError: There is no such key.
        """
        details = {column: value for column, value in columns.items() if column != "sealed"}
        action = "provider_key.replace" if "sealed" in columns else "provider_key.change"
        with self._audit.change(account, actor, action, f"{provider}@{name}", within, **details) as connection:
            changed = connection.execute(
                update(PROVIDER_KEY_TABLE).where(_is_it(account, provider, name)).values(columns)
            )
            if changed.rowcount == 0:
                raise _no_such_key(provider, name)

    def remove(self, account: str, provider: str, name: str, actor: str) -> None:
        """Delete a key for good.

        Raises:
            NotFoundError: There is no such key.
        """
        with self._audit.change(account, actor, "provider_key.delete", f"{provider}@{name}") as connection:
            if connection.execute(delete(PROVIDER_KEY_TABLE).where(_is_it(account, provider, name))).rowcount == 0:
                raise _no_such_key(provider, name)

    def note_test(self, account: str, provider: str, name: str, outcome: str) -> None:
        """Note the result of a test: whether the provider accepts the key."""
        values = {"tested_at_us": to_microseconds(self._audit.now()), "test_outcome": outcome}
        with self._audit.transaction() as connection:
            connection.execute(update(PROVIDER_KEY_TABLE).where(_is_it(account, provider, name)).values(values))

    def of_account(self, account: str) -> list[StoredProviderKey]:
        """Return an account's keys, sorted by provider and name."""
        query = select(PROVIDER_KEY_TABLE).where(_KEY.account == account).order_by(_KEY.provider, _KEY.name)
        with self._audit.reading.connect() as connection:
            return [_key_of(row) for row in connection.execute(query)]

    def find(self, account: str, provider: str, name: str) -> SealedProviderKey:
        """Return one key.

        Raises:
            NotFoundError: There is no such key.
        """
        with self._audit.reading.connect() as connection:
            row = connection.execute(select(PROVIDER_KEY_TABLE).where(_is_it(account, provider, name))).first()
        if row is None:
            raise _no_such_key(provider, name)
        return SealedProviderKey(_key_of(row), bytes(row.sealed))

    def enabled(self) -> list[SealedProviderKey]:
        """Return every key in use, of all accounts that are enabled."""
        is_off = select(ACCOUNT_TABLE.c.account).where(~ACCOUNT_TABLE.c.is_enabled)
        query = select(PROVIDER_KEY_TABLE).where(_KEY.is_enabled & _KEY.account.not_in(is_off))
        ordered = query.order_by(_KEY.account, _KEY.provider, _KEY.name)
        with self._audit.reading.connect() as connection:
            return [SealedProviderKey(_key_of(row), bytes(row.sealed)) for row in connection.execute(ordered)]


def _is_it(account: str, provider: str, name: str) -> Any:
    return (_KEY.account == account) & (_KEY.provider == provider) & (_KEY.name == name)


def _key_of(row: Any) -> StoredProviderKey:
    return StoredProviderKey(
        account=row.account,
        provider=row.provider,
        name=row.name,
        last_four=row.last_four,
        fingerprint=row.fingerprint,
        organisation=row.organisation,
        base_url=row.base_url,
        region=row.region,
        is_enabled=row.is_enabled,
        created_at=from_microseconds(row.created_at_us),
        created_by=row.created_by,
        tested_at=_instant(row.tested_at_us),
        test_outcome=row.test_outcome,
    )


def _no_such_key(provider: str, name: str) -> NotFoundError:
    return NotFoundError(f"there is no key {name[:80]!r} at {provider[:80]!r} in this account")


def _instant(us: int | None) -> datetime | None:
    return None if us is None else from_microseconds(us)
