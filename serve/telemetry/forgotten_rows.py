"""Keeps rows out of the database that were erased before they were stored: requests under way, and queued rows.

The check runs in the transaction that stores the rows. So an erasure either finds the rows, or comes before them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from serve.storage.batch_insert import Values
from serve.storage.tables import ATTEMPT_TABLE, FORGOTTEN_TABLE
from serve.telemetry.attempt_codec import STORED_ORDER, StoredRow

FEEDBACK_ORDER: Final = ("request_id", "metric_name", "given_by", "received_at_us", "value", "comment")
_ACCOUNT, _STARTED = STORED_ORDER.index("account"), STORED_ORDER.index("started_at_us")
_CONTENT: Final = tuple(
    STORED_ORDER.index(name) for name in ("prompt_text", "answer_text", "features", "features_version")
)
_REQUEST, _RECEIVED, _COMMENT = (FEEDBACK_ORDER.index(name) for name in ("request_id", "received_at_us", "comment"))


@dataclass(frozen=True, slots=True)
class _Note:
    account: str
    until_us: int
    kept: str


def without_forgotten_attempts(connection: Connection, rows: Sequence[StoredRow]) -> Sequence[StoredRow]:
    """Return the rows that may be stored, in `STORED_ORDER`, without erased contents."""
    notes = _notes(connection, [row[_STARTED] for row in rows])
    if not notes:
        return rows
    allowed = []
    for row in rows:
        kept = _kept(notes, row[_ACCOUNT], row[_STARTED])
        if "nothing" in kept:
            continue
        allowed.append(tuple(None if place in _CONTENT else value for place, value in enumerate(row)) if kept else row)
    return allowed


def without_forgotten_feedback(connection: Connection, rows: Sequence[Values]) -> Sequence[Values]:
    """Return the rows that may be stored, in `FEEDBACK_ORDER`, without erased comments.

    Feedback does not name its account. If its request is gone, the feedback counts as erased with it.
    """
    notes = _notes(connection, [row[_RECEIVED] for row in rows])
    if not notes:
        return rows
    attempt = ATTEMPT_TABLE.c
    is_meant = attempt.request_id.in_(sorted({str(row[_REQUEST]) for row in rows}))
    query = select(attempt.request_id, attempt.account, attempt.started_at_us).where(is_meant)
    origins = {row.request_id: (row.account, row.started_at_us) for row in connection.execute(query)}
    last_us = max(note.until_us for note in notes)
    allowed = []
    for row in rows:
        origin = origins.get(row[_REQUEST])
        if origin is None and _is_before(row[_RECEIVED], last_us):
            kept = {note.kept for note in notes}
        else:
            kept = set() if origin is None else _kept(notes, *origin)
        if "nothing" in kept:
            continue
        allowed.append(tuple(None if place == _COMMENT else value for place, value in enumerate(row)) if kept else row)
    return allowed


def _notes(connection: Connection, instants_us: Sequence[object]) -> list[_Note]:
    """Return the erasures up to a time after the first of these instants; almost always none."""
    first_us = min((instant for instant in instants_us if isinstance(instant, int)), default=None)
    if first_us is None:
        return []
    if connection.dialect.name == "postgresql":
        # An erasure waits until these rows are stored. SQLite has one writer at a time.
        connection.exec_driver_sql(f"LOCK TABLE {FORGOTTEN_TABLE.name} IN SHARE MODE")
    noted = FORGOTTEN_TABLE.c
    query = select(noted.account, noted.until_us, noted.kept).where(noted.until_us > first_us)
    return [_Note(row.account, row.until_us, row.kept) for row in connection.execute(query)]


def _kept(notes: Sequence[_Note], account: object, started_us: object) -> set[str]:
    return {note.kept for note in notes if note.account == account and _is_before(started_us, note.until_us)}


def _is_before(instant_us: object, until_us: int) -> bool:
    return isinstance(instant_us, int) and instant_us < until_us
