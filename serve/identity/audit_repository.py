"""Changes, and who made them: each is one transaction that also writes its entry into the audit log and tells the workers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    """The audit log, and the transactions that write it.

    Args:
        engine: SQLite or PostgreSQL.
        now: The present moment.
    """

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self.reading = engine
        self.now = now
        self._writing = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    @contextmanager
    def change(self, account: str, actor: str, action: str, subject: str, **details: Any) -> Iterator[Connection]:
        """Begin a change; what is done on the connection and the entry are stored together, or, after an exception, not at all."""
        with self._writing.begin() as connection:
            yield connection
            values = {"at_us": to_microseconds(self.now()), "account": account, "actor": actor, "action": action}
            connection.execute(insert(AUDIT_TABLE).values(**values, subject=subject, details=details))
            grown = self._insert(IDENTITY_VERSION_TABLE).values(singleton=1, number=1)
            number = IDENTITY_VERSION_TABLE.c.number + 1
            connection.execute(grown.on_conflict_do_update(index_elements=["singleton"], set_={"number": number}))

    @contextmanager
    def note(self) -> Iterator[Connection]:
        """Begin a transaction that is nobody's decision, such as noting that a key was used; the log and the version stay as they are."""
        with self._writing.begin() as connection:
            yield connection

    def version(self) -> int:
        """Return a number that has grown whenever anything changed."""
        with self.reading.connect() as connection:
            number = connection.execute(select(IDENTITY_VERSION_TABLE.c.number)).scalar()
        return 0 if number is None else int(number)

    def entries(self, account: str | None, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """Return changes, the newest first.

        Args:
            account: Whose; None: all accounts'.
            before: Only those with a smaller number, for paging.
            limit: At most so many.
        """
        query = select(AUDIT_TABLE).order_by(_AUDIT.number.desc()).limit(limit)
        if account is not None:
            query = query.where(_AUDIT.account == account)
        if before is not None:
            query = query.where(_AUDIT.number < before)
        with self.reading.connect() as connection:
            return [
                AuditEntry(
                    row.number,
                    from_microseconds(row.at_us),
                    row.account,
                    row.actor,
                    row.action,
                    row.subject,
                    row.details,
                )
                for row in connection.execute(query)
            ]
