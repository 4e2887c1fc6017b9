"""Stores a mixed batch of attempts and feedback, and tells failures of the database from those of single rows."""

import logging
import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, ProgrammingError

from router.telemetry_schema import AttemptRow, FeedbackRow
from serve.storage.batch_insert import Values
from serve.telemetry.attempt_codec import StoredRow, encode_attempt
from serve.telemetry.attempt_repository import AttemptRepository, lane_lists_of
from serve.telemetry.feedback_repository import FeedbackRepository, encode_feedback

_log = logging.getLogger(__name__)

_ROWS_A_SLICE: Final = 64
# Errors that a row can cause, in every database.
_ROW_ERRORS: Final = (DataError, IntegrityError, ValueError, TypeError, OverflowError, AttributeError)
# SQLite raises these for a value that it cannot bind, PostgreSQL for a missing table, which no row causes.
_SQLITE_ROW_ERRORS: Final = (*_ROW_ERRORS, ProgrammingError, InterfaceError)


class TelemetryStore:
    """Stores rows as one batch, and one by one when the batch holds a row that the database will never take."""

    def __init__(self, engine: Engine) -> None:
        self._attempts = AttemptRepository(engine)
        self._feedback = FeedbackRepository(engine)
        self._row_errors = _SQLITE_ROW_ERRORS if engine.dialect.name == "sqlite" else _ROW_ERRORS
        self.stored_rows = 0
        self.rejected_rows = 0

    def store(self, rows: Sequence[AttemptRow | FeedbackRow]) -> None:
        """Store every row that can be stored; the others are logged and counted in `rejected_rows`.

        Raises:
            Exception: The database failed. Nothing is counted; call again with the same rows.
        """
        try:
            self._store_together(rows)
        except self._row_errors:
            stored = sum(self._store_alone(row) for row in rows)
            self.rejected_rows += len(rows) - stored
            self.stored_rows += stored
        else:
            self.stored_rows += len(rows)

    def _store_together(self, rows: Sequence[AttemptRow | FeedbackRow]) -> None:
        attempts = [row for row in rows if isinstance(row, AttemptRow)]
        if attempts:
            encoded: list[StoredRow] = _encode_in_slices(attempts)
            self._attempts.insert_encoded(encoded, lane_lists_of(attempts))
        if len(attempts) < len(rows):
            feedback: list[Values] = [encode_feedback(row) for row in rows if isinstance(row, FeedbackRow)]
            self._feedback.insert_encoded(feedback)

    def _store_alone(self, row: AttemptRow | FeedbackRow) -> bool:
        try:
            self._store_together([row])
        except self._row_errors as error:
            # The kind of error only: its text may quote the row.
            _log.error("telemetry: a row of request %r is rejected: %s", row.request_id, type(error).__name__)
            return False
        return True


def _encode_in_slices(rows: Sequence[AttemptRow]) -> list[StoredRow]:
    encoded: list[StoredRow] = []
    for start in range(0, len(rows), _ROWS_A_SLICE):
        encoded.extend(map(encode_attempt, rows[start : start + _ROWS_A_SLICE]))
        # Gives the interpreter's lock to the event loop, which so waits for one slice at most and not for the batch.
        time.sleep(0)
    return encoded
