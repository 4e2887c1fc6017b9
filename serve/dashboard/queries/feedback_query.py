"""Thumbs on an account's answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Row, literal_column, select

from serve.instant import to_microseconds
from serve.storage.tables import ATTEMPT_TABLE, FEEDBACK_TABLE, LANE_LIST_TABLE
from serve.telemetry.candidate_codec import unpack_candidates

_ATTEMPT: Final = ATTEMPT_TABLE.c
_FEEDBACK: Final = FEEDBACK_TABLE.c
_LATEST: Final = 5_000
_IDS_A_QUERY: Final = 500
_UP: Final = 0.5


@dataclass(frozen=True, slots=True)
class Thumbs:
    """Number of thumbs that were given, and number of them that are up."""

    given: int
    up: int


def read_thumbs(engine: Engine, account: str, since: datetime) -> Thumbs:
    """Return the thumbs given since then, among the latest 5,000 of all accounts."""
    with engine.connect() as connection:
        judged = _latest_thumbs(connection, since)
        asked = _rows_of(connection, judged, account, (_ATTEMPT.request_id,), _ATTEMPT.attempt == 0)
    own = {row.request_id for row in asked}
    values = [value for request_id, value in judged if request_id in own]
    return Thumbs(len(values), sum(value >= _UP for value in values))


def read_judged_qualities(engine: Engine, account: str) -> list[tuple[float, float]]:
    """Return (predicted quality, thumb), both 0..1, of the answers in the latest 5,000 thumbs of all accounts."""
    with engine.connect() as connection:
        judged = _latest_thumbs(connection, None)
        columns = (_ATTEMPT.request_id, _ATTEMPT.lane_id, _ATTEMPT.candidates, _ATTEMPT.lane_list_id)
        rows = [
            row for row in _rows_of(connection, judged, account, columns, _ATTEMPT.outcome == "ok") if row.candidates
        ]
        ids = {row.lane_list_id for row in rows}
        lists = (
            connection.execute(select(LANE_LIST_TABLE).where(LANE_LIST_TABLE.c.lane_list_id.in_(ids))) if ids else ()
        )
        lane_lists = {row.lane_list_id: tuple(row.lane_ids) for row in lists}
    qualities = {}
    for row in rows:
        lane_ids = lane_lists[row.lane_list_id]
        qualities[row.request_id] = float(
            unpack_candidates(row.candidates, lane_ids).quality[lane_ids.index(row.lane_id)]
        )
    pairs = [(qualities[request_id], float(value >= _UP)) for request_id, value in judged if request_id in qualities]
    return [pair for pair in pairs if pair[0] == pair[0]]  # without NaN: those with a prediction


def _latest_thumbs(connection: Connection, since: datetime | None) -> list[tuple[str, float]]:
    """Return (request id, value) of thumbs, of all accounts, the latest first."""
    query = (
        select(_FEEDBACK.request_id, _FEEDBACK.value)
        .where(_FEEDBACK.metric_name == literal_column("'thumbs'"))  # literal, as in the index
        .order_by(_FEEDBACK.received_at_us.desc())
        .limit(_LATEST)
    )
    if since is not None:
        query = query.where(_FEEDBACK.received_at_us >= to_microseconds(since))
    return [(row.request_id, float(row.value)) for row in connection.execute(query)]


def _rows_of(
    connection: Connection,
    judged: Sequence[tuple[str, float]],
    account: str,
    columns: Sequence[ColumnElement[Any]],
    is_meant: ColumnElement[bool],
) -> list[Row[Any]]:
    """Return an account's attempts of the judged requests.

    There are two steps, because with a join the database would choose where to begin.
    """
    ids = sorted({request_id for request_id, _ in judged})
    return [
        row
        for start in range(0, len(ids), _IDS_A_QUERY)
        for row in connection.execute(
            select(*columns).where(
                _ATTEMPT.request_id.in_(ids[start : start + _IDS_A_QUERY]), _own(connection, account), is_meant
            )
        )
    ]


def _own(connection: Connection, account: str) -> ColumnElement[bool]:
    column: ColumnElement[Any] = (
        _ATTEMPT.account.op("||")("") if connection.dialect.name == "sqlite" else _ATTEMPT.account
    )
    return column == account  # this form keeps SQLite from reading all attempts of the account
