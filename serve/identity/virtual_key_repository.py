"""Virtual keys in the database: their names and terms, and the hashes by which their secrets are recognised."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from serve.errors import BadRequestError, NotFoundError
from serve.identity.audit_repository import AuditRepository
from serve.identity.rows import StoredVirtualKey
from serve.identity.virtual_keys import AcceptedKey, VirtualKeyHolder
from serve.instant import from_microseconds, to_microseconds
from serve.storage.identity_tables import ACCOUNT_TABLE, VIRTUAL_KEY_SECRET_TABLE, VIRTUAL_KEY_TABLE

_KEY: Final = VIRTUAL_KEY_TABLE.c
_SECRET: Final = VIRTUAL_KEY_SECRET_TABLE.c


class VirtualKeyRepository:
    """Reads and changes stored virtual keys.

    Args:
        audit: Audit log, whose transactions are used.
    """

    def __init__(self, audit: AuditRepository) -> None:
        self._audit = audit

    def add(self, key: StoredVirtualKey, digest: bytes, within: Connection | None = None) -> None:
        """Store a new key.

        Args:
            key: The key.
            digest: HMAC-SHA256 of its secret.
            within: Connection of a transaction to join; None: one of its own.

        Raises:
            BadRequestError: The account has, or had, a key of this name.
        """
        values = {
            "account": key.account,
            "name": key.name,
            "shown": key.shown,
            "scopes": list(key.scopes),
            "lanes": list(key.lanes),
            "tags": list(key.tags),
            "requests_per_minute": key.requests_per_minute,
            "tokens_per_minute": key.tokens_per_minute,
            "expires_at_us": _us(key.expires_at),
            "created_at_us": to_microseconds(key.created_at),
            "created_by": key.created_by,
        }
        try:
            with self._audit.change(
                key.account, key.created_by, "virtual_key.create", key.name, within, scopes=list(key.scopes)
            ) as connection:
                connection.execute(insert(VIRTUAL_KEY_TABLE).values(values))
                secret = {"digest": digest, "account": key.account, "name": key.name}
                connection.execute(insert(VIRTUAL_KEY_SECRET_TABLE).values(secret))
        except IntegrityError:
            raise BadRequestError(
                f"name: there is, or was, a virtual key {key.name!r}; choose another name", param="name"
            ) from None

    def rotate(self, account: str, name: str, shown: str, digest: bytes, old_until: datetime, actor: str) -> None:
        """Accept a new secret for a key, and its old ones until `old_until`.

        Raises:
            NotFoundError: There is no such key, or it was revoked.
        """
        until_us = to_microseconds(old_until)
        with self._audit.change(
            account, actor, "virtual_key.rotate", name, old_until=old_until.isoformat(timespec="seconds")
        ) as connection:
            changed = connection.execute(
                update(VIRTUAL_KEY_TABLE).where(_not_revoked(account, name)).values(shown=shown)
            )
            if changed.rowcount == 0:
                raise _no_such_key(name)
            old = (_SECRET.account == account) & (_SECRET.name == name)
            lasting = or_(_SECRET.expires_at_us.is_(None), _SECRET.expires_at_us > until_us)
            connection.execute(update(VIRTUAL_KEY_SECRET_TABLE).where(old & lasting).values(expires_at_us=until_us))
            secret = {"digest": digest, "account": account, "name": name}
            connection.execute(insert(VIRTUAL_KEY_SECRET_TABLE).values(secret))

    def change(self, account: str, name: str, actor: str, **columns: Any) -> None:
        """Change what a key may do, or when it expires; `columns` are columns of the table.

        Raises:
            NotFoundError: There is no such key, or it was revoked.
        """
        details = {column: _plain(value) for column, value in columns.items()}
        values = {
            ("expires_at_us" if column == "expires_at" else column): _stored(value) for column, value in columns.items()
        }
        with self._audit.change(account, actor, "virtual_key.change", name, **details) as connection:
            changed = connection.execute(update(VIRTUAL_KEY_TABLE).where(_not_revoked(account, name)).values(values))
            if changed.rowcount == 0:
                raise _no_such_key(name)

    def revoke(self, account: str, name: str, actor: str) -> None:
        """Refuse a key from now on.

        Raises:
            NotFoundError: There is no such key, or it was revoked before.
        """
        with self._audit.change(account, actor, "virtual_key.revoke", name) as connection:
            values = {"revoked_at_us": to_microseconds(self._audit.now())}
            revoked = connection.execute(update(VIRTUAL_KEY_TABLE).where(_not_revoked(account, name)).values(values))
            if revoked.rowcount == 0:
                raise _no_such_key(name)
            secrets = (_SECRET.account == account) & (_SECRET.name == name)
            connection.execute(delete(VIRTUAL_KEY_SECRET_TABLE).where(secrets))

    def of_account(self, account: str) -> list[StoredVirtualKey]:
        """Return an account's keys, revoked ones too, by name."""
        query = select(VIRTUAL_KEY_TABLE).where(_KEY.account == account).order_by(_KEY.name)
        with self._audit.reading.connect() as connection:
            return [_key_of(row) for row in connection.execute(query)]

    def find(self, account: str, name: str) -> StoredVirtualKey:
        """Return one key.

        Raises:
            NotFoundError: There is none of this name.
        """
        query = select(VIRTUAL_KEY_TABLE).where((_KEY.account == account) & (_KEY.name == name))
        with self._audit.reading.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise _no_such_key(name)
        return _key_of(row)

    def accepted(self) -> list[AcceptedKey]:
        """Return every secret that is accepted now, with its holder, of all enabled accounts."""
        same_key = (_SECRET.account == _KEY.account) & (_SECRET.name == _KEY.name)
        disabled = select(ACCOUNT_TABLE.c.account).where(~ACCOUNT_TABLE.c.is_enabled)
        query = (
            select(VIRTUAL_KEY_TABLE, _SECRET.digest, _SECRET.expires_at_us.label("secret_expires_at_us"))
            .join(VIRTUAL_KEY_SECRET_TABLE, same_key)
            .where(_KEY.revoked_at_us.is_(None) & _KEY.account.not_in(disabled))
        )
        with self._audit.reading.connect() as connection:
            return [
                AcceptedKey(
                    bytes(row.digest),
                    _holder_of(_key_of(row)),
                    min(filter(None, map(_instant, (row.expires_at_us, row.secret_expires_at_us))), default=None),
                )
                for row in connection.execute(query)
            ]

    def was_any_issued(self) -> bool:
        """Return whether a key was ever issued."""
        with self._audit.reading.connect() as connection:
            return connection.execute(select(_KEY.name).limit(1)).first() is not None

    def note_used(self, keys: Iterable[tuple[str, str]]) -> None:
        """Note that keys were used just now; each is given as (account, name)."""
        now_us = to_microseconds(self._audit.now())
        with self._audit.transaction() as connection:
            for account, name in sorted(keys):
                is_it = (_KEY.account == account) & (_KEY.name == name)
                connection.execute(update(VIRTUAL_KEY_TABLE).where(is_it).values(last_used_at_us=now_us))


def _not_revoked(account: str, name: str) -> Any:
    return (_KEY.account == account) & (_KEY.name == name) & _KEY.revoked_at_us.is_(None)


def _key_of(row: Any) -> StoredVirtualKey:
    created_at = from_microseconds(row.created_at_us)
    return StoredVirtualKey(
        account=row.account,
        name=row.name,
        shown=row.shown,
        scopes=tuple(row.scopes),
        lanes=tuple(row.lanes),
        tags=tuple(row.tags),
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        expires_at=_instant(row.expires_at_us),
        created_at=created_at,
        created_by=row.created_by,
        revoked_at=_instant(row.revoked_at_us),
        last_used_at=_instant(row.last_used_at_us),
    )


def _holder_of(key: StoredVirtualKey) -> VirtualKeyHolder:
    return VirtualKeyHolder(
        virtual_key_id=key.virtual_key_id,
        account=key.account,
        lanes=key.lanes,
        tags=key.tags,
        scopes=frozenset(key.scopes),
        requests_per_minute=key.requests_per_minute,
        tokens_per_minute=key.tokens_per_minute,
    )


def _no_such_key(name: str) -> NotFoundError:
    return NotFoundError(f"there is no virtual key {name[:80]!r} in this account, or it was revoked")


def _instant(us: int | None) -> datetime | None:
    return None if us is None else from_microseconds(us)


def _us(instant: datetime | None) -> int | None:
    return None if instant is None else to_microseconds(instant)


def _stored(value: Any) -> Any:
    """Return a value as the database keeps it."""
    if isinstance(value, datetime):
        return to_microseconds(value)
    return list(value) if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    """Return a value as the details of an audit entry keep it."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return list(value) if isinstance(value, tuple) else value
