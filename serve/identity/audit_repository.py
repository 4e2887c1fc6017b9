"""The audit log, and the transactions that write it.

Each change of accounts, people and keys is stored in one transaction together with its audit entry. The same
transaction raises a version number, by which the workers notice the change.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from serve.identity.rows import AuditEntry
from serve.instant import from_microseconds, to_microseconds
from serve.storage.database import SQLITE_BEGIN
from serve.storage.identity_tables import AUDIT_TABLE, IDENTITY_VERSION_TABLE

_AUDIT: Final = AUDIT_TABLE.c


class AuditRepository:
    """Writes and reads the audit log.

    Args:
        engine: Engine of an SQLite or PostgreSQL database.
        now: Function that returns the present time.
    """

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self.reading = engine
        self.now = now
        self._writing = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin a transaction. It is committed at the end of the block, and rolled back after an exception.

        Changes join it with `change(…, within=connection)`. What is written without `change`, such as the time at
        which a key was last used, has no audit entry and leaves the version as it is.
        """
        with self._writing.begin() as connection:
            yield connection

    @contextmanager
    def change(
        self, account: str, actor: str, action: str, subject: str, within: Connection | None = None, **details: Any
    ) -> Iterator[Connection]:
        """Begin a change. What the block writes on the connection is stored with an audit entry, or not at all.

        Args:
            account: Account that is changed.
            actor: Name of the identity that makes the change.
            action: Kind of change, such as `virtual_key.create`.
            subject: Name of what is changed.
            within: Connection of a transaction to join; None: the change is a transaction of its own.
            details: Further facts for the audit entry; never a secret.
        """
        with nullcontext(within) if within is not None else self.transaction() as connection:
            yield connection
            values = {"at_us": to_microseconds(self.now()), "account": account, "actor": actor, "action": action}
            connection.execute(insert(AUDIT_TABLE).values(**values, subject=subject, details=details))
            first = self._insert(IDENTITY_VERSION_TABLE).values(singleton=1, number=1)
            number = IDENTITY_VERSION_TABLE.c.number + 1
            connection.execute(first.on_conflict_do_update(index_elements=["singleton"], set_={"number": number}))

    def version(self) -> int:
        """Return a number that grows with every change."""
        with self.reading.connect() as connection:
            number = connection.execute(select(IDENTITY_VERSION_TABLE.c.number)).scalar()
        return 0 if number is None else int(number)

    def entries(self, account: str | None, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """Return audit entries, the newest first.

        Args:
            account: Account whose entries are wanted; None: the entries of all accounts.
            before: Number of the oldest entry that was already read; None: begin with the newest.
            limit: Largest number of entries to return.
        """
        query = select(AUDIT_TABLE).order_by(_AUDIT.number.desc()).limit(limit)
        if account is not None:
            query = query.where(_AUDIT.account == account)
        if before is not None:
            query = query.where(_AUDIT.number < before)
        with self.reading.connect() as connection:
            return [
                AuditEntry(
                    number=row.number,
                    at=from_microseconds(row.at_us),
                    account=row.account,
                    actor=row.actor,
                    action=row.action,
                    subject=row.subject,
                    details=row.details,
                )
                for row in connection.execute(query)
            ]
