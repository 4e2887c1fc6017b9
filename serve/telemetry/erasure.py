"""Deletes what was logged of an account: contents, or whole rows. The ledger stays, because it holds no content."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, insert, select, tuple_, update

from serve.identity.audit_repository import AuditRepository
from serve.instant import to_microseconds
from serve.storage.bundle_tables import SHADOW_DECISION_TABLE
from serve.storage.database import SQLITE_BEGIN
from serve.storage.idempotency_tables import IDEMPOTENCY_TABLE
from serve.storage.tables import ATTEMPT_TABLE, FEEDBACK_TABLE, FORGOTTEN_TABLE
from serve.storage.watch_tables import WATCH_ALARM_TABLE, WATCH_STATE_TABLE

# Few enough that the writer of telemetry never waits long for the lock.
_AT_ONCE: Final = 500
_ATTEMPT: Final = ATTEMPT_TABLE.c
_NAME: Final = (_ATTEMPT.started_at_us, _ATTEMPT.request_id, _ATTEMPT.attempt)
_NO_CONTENT: Final[dict[str, None]] = {
    "prompt_text": None,
    "answer_text": None,
    "features": None,
    "features_version": None,
}


@dataclass(frozen=True, slots=True)
class Erased:
    """What was deleted: the number of attempts, and the time up to which requests were erased."""

    n_attempts: int
    until: datetime


class TelemetryErasure:
    """Deletes what was logged of an account, and records it in the audit log.

    Args:
        engine: Engine of the database.
        audit: Audit log, whose transactions are used.
        store_waiting: Function that stores the rows that this process still keeps in memory, so that they are deleted
            too; None: this process keeps none.
    """

    def __init__(self, engine: Engine, audit: AuditRepository, store_waiting: Callable[[], None] | None = None) -> None:
        self._store_waiting = store_waiting
        self._engine = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        self._audit = audit

    def forget(self, account: str, actor: str, *, has_rows: bool) -> Erased:
        """Delete prompts, answers, features, comments and kept answers of all requests of an account until now.

        The erasure is stored first, together with its entry in the audit log. Exports, and readers of older exports,
        follow it from then on. A call that was interrupted is finished by calling again.

        Args:
            account: Account whose requests are erased.
            actor: Identity that asks for it.
            has_rows: Whether whole rows are deleted too: attempts, feedback, decisions of shadows, and what was learned
                from them online.
        """
        if self._store_waiting is not None:
            self._store_waiting()
        kept = "nothing" if has_rows else "none"
        until = self._audit.now()
        until_us = to_microseconds(until)
        with self._audit.change(
            account, actor, "account.forget", account, kept=kept, until=until.isoformat()
        ) as connection:
            _note(connection, account, until_us, kept)
            answered = (IDEMPOTENCY_TABLE.c.account == account) & IDEMPOTENCY_TABLE.c.status.is_not(None)
            connection.execute(delete(IDEMPOTENCY_TABLE).where(answered))
            if has_rows:
                connection.execute(delete(WATCH_STATE_TABLE).where(WATCH_STATE_TABLE.c.account == account))
                connection.execute(delete(WATCH_ALARM_TABLE).where(WATCH_ALARM_TABLE.c.account == account))
        n_attempts = 0
        with self._engine.connect() as connection:
            self._overwrite(connection, "ON")
            for names in self._names(connection, account, until_us):
                with connection.begin():
                    _erase(connection, names, has_rows)
                n_attempts += len(names)
            self._overwrite(connection, "OFF")
        return Erased(n_attempts, until)

    def _names(self, connection: Connection, account: str, until_us: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the account's attempts in chunks, by time."""
        query = (
            select(*_NAME)
            .where(_ATTEMPT.account == account, _ATTEMPT.started_at_us < until_us)
            .order_by(*_NAME)
            .limit(_AT_ONCE)
        )
        last: tuple[Any, ...] | None = None
        while True:
            rest = (
                query
                if last is None
                else query.where(_ATTEMPT.started_at_us >= last[0], tuple_(*_NAME) > tuple_(*last))
            )
            with connection.begin():
                names = [tuple(row) for row in connection.execute(rest)]
            if not names:
                return
            yield names
            last = names[-1]

    def _overwrite(self, connection: Connection, state: str) -> None:
        """Let SQLite write zeros over deleted content, and empty its log at the end, which holds the old pages."""
        if self._engine.dialect.name != "sqlite":
            return
        plain = connection.connection.dbapi_connection
        assert plain is not None
        cursor = plain.cursor()
        cursor.execute(f"PRAGMA secure_delete = {state}")
        if state == "OFF":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # as far as readers allow it
        cursor.close()


def _note(connection: Connection, account: str, until_us: int, kept: str) -> None:
    is_same = (FORGOTTEN_TABLE.c.account == account) & (FORGOTTEN_TABLE.c.until_us == until_us)
    noted = connection.execute(select(FORGOTTEN_TABLE.c.kept).where(is_same)).scalar()
    if noted is None:
        connection.execute(insert(FORGOTTEN_TABLE).values(account=account, until_us=until_us, kept=kept))
    elif noted != "nothing":
        connection.execute(update(FORGOTTEN_TABLE).where(is_same).values(kept=kept))


def _erase(connection: Connection, names: list[tuple[Any, ...]], has_rows: bool) -> None:
    attempts = tuple_(_ATTEMPT.request_id, _ATTEMPT.attempt).in_([name[1:] for name in names])
    request_ids = sorted({name[1] for name in names})
    requests = FEEDBACK_TABLE.c.request_id.in_(request_ids)
    if has_rows:
        connection.execute(delete(FEEDBACK_TABLE).where(requests))
        connection.execute(delete(SHADOW_DECISION_TABLE).where(SHADOW_DECISION_TABLE.c.request_id.in_(request_ids)))
        connection.execute(delete(ATTEMPT_TABLE).where(attempts))
    else:
        connection.execute(update(FEEDBACK_TABLE).where(requests).values(comment=None))
        connection.execute(update(ATTEMPT_TABLE).where(attempts).values(_NO_CONTENT))
