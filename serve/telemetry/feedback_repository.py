"""Stores and reads feedback."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, RowMapping, select, tuple_

from router.telemetry_schema import FeedbackRow
from serve.instant import from_microseconds, to_microseconds
from serve.storage.batch_insert import BatchInsert, Values
from serve.storage.database import SQLITE_BEGIN
from serve.storage.tables import FEEDBACK_TABLE
from serve.telemetry.forgotten_rows import FEEDBACK_ORDER, without_forgotten_feedback

_INSERT: Final = BatchInsert(FEEDBACK_TABLE, FEEDBACK_ORDER)
_COLUMNS: Final = FEEDBACK_TABLE.c
_STABLE_ORDER: Final = (_COLUMNS.received_at_us, _COLUMNS.request_id, _COLUMNS.metric_name, _COLUMNS.given_by)


class FeedbackRepository:
    """Feedback in one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})

    def insert_many(self, rows: Sequence[FeedbackRow]) -> None:
        """Store all rows or none. One metric of a request, from one giver at one instant, is stored once.

        Raises:
            ValueError, TypeError: A row cannot be encoded; see `encode_feedback`.
            sqlalchemy.exc.DBAPIError: The database refused.
        """
        self.insert_encoded([encode_feedback(row) for row in rows])

    def insert_encoded(self, stored_rows: Sequence[Values]) -> None:
        """Store rows that `encode_feedback` returned; otherwise as `insert_many`."""
        with self._writing.begin() as connection:
            _INSERT.execute(connection, without_forgotten_feedback(connection, stored_rows))

    def exists(self, request_id: str) -> bool:
        """Return whether any feedback on this request is stored."""
        query = select(_COLUMNS.metric_name).where(_COLUMNS.request_id == request_id).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def read(self, since: datetime, until: datetime, *, chunk_rows: int = 1_000) -> Iterator[list[FeedbackRow]]:
        """Yield feedback with since <= received_at < until in chunks.

        The order is (received_at, request_id, metric_name, given_by).

        Raises:
            TypeError: An instant has no time zone.
        """
        query = select(FEEDBACK_TABLE).where(_COLUMNS.received_at_us < to_microseconds(until)).order_by(*_STABLE_ORDER)
        chunk_query = query.where(_COLUMNS.received_at_us >= to_microseconds(since)).limit(chunk_rows)
        while True:
            with self._engine.connect() as connection:
                stored = connection.execute(chunk_query).mappings().all()
            if not stored:
                return
            yield [_decode(row) for row in stored]
            last = stored[-1]
            after_last = tuple_(*_STABLE_ORDER) > tuple_(*(last[column.name] for column in _STABLE_ORDER))
            chunk_query = query.where(_COLUMNS.received_at_us >= last["received_at_us"], after_last).limit(chunk_rows)


def encode_feedback(row: FeedbackRow) -> Values:
    """Return the values to store.

    Raises:
        ValueError: The value is not finite, or the comment holds a lone surrogate.
        TypeError: `received_at` has no time zone.
    """
    if not abs(row.value) < float("inf"):
        raise ValueError(f"the value of feedback must be finite, got {row.value!r}")
    comment = None if row.comment is None else row.comment.encode()
    return row.request_id, row.metric_name, row.given_by, to_microseconds(row.received_at), row.value, comment


def _decode(stored: RowMapping) -> FeedbackRow:
    comment = stored["comment"]
    return FeedbackRow(
        request_id=stored["request_id"],
        metric_name=stored["metric_name"],
        value=stored["value"],
        comment=None if comment is None else comment.decode(),
        given_by=stored["given_by"],
        received_at=from_microseconds(stored["received_at_us"]),
    )
