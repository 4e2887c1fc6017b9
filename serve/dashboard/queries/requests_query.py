"""Pages of requests, newest first.

A page reads at most a bounded part of the table, however many rows there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, Connection, Engine, and_, exists, func, not_, or_, select, text, tuple_
from sqlalchemy.sql.elements import KeyedColumnElement

from serve.dashboard.queries.requests_filter import RequestFilter
from serve.instant import to_microseconds
from serve.storage.tables import ATTEMPT_TABLE

_ATTEMPT: Final = ATTEMPT_TABLE.c
_OTHER: Final = ATTEMPT_TABLE.alias("other")
_KEY: Final = (_ATTEMPT.started_at_us, _ATTEMPT.request_id)
LOOKED_AT: Final = 5_000
"""The most rows that one page looks at. After that it says how far it came and offers to go on."""
PAGE_ROWS: Final = 50
_ID_PREFIX: Final = "req_"
_TELLING_CHARACTERS: Final = 4
_LAST_CHARACTER: Final = "\U0010ffff"
_MOST_CHOICES: Final = 500

LISTED: Final = tuple(
    _ATTEMPT[name]
    for name in (
        "started_at_us", "request_id", "attempt", "lane_id", "provider", "vendor_model", "virtual_key_id", "tags",
        "endpoint", "is_streaming", "reason", "prompt_tokens", "completion_tokens", "cost_nusd", "ttft_ms", "total_ms",
        "status", "outcome", "error_code",
    )
)  # fmt: skip
Row = Any


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list, between two rows.

    Args:
        started_at_us, request_id: Key of the row next to it.
        is_backwards: Whether the page before it is wanted (newer rows), not the one after it.
    """

    started_at_us: int
    request_id: str
    is_backwards: bool = False

    def __str__(self) -> str:
        return f"{'b' if self.is_backwards else 'a'}.{self.started_at_us}.{self.request_id}"

    @classmethod
    def read(cls, text: str | None) -> "Cursor | None":
        """Return the cursor in a link; None: it is missing or damaged, which means the first page."""
        side, _, rest = (text or "").partition(".")
        instant, _, request_id = rest.partition(".")
        if (
            side not in ("a", "b")
            or not instant.isdecimal()
            or len(instant) > 18
            or not request_id
            or "\0" in request_id
        ):
            return None
        return cls(int(instant), request_id[:100], side == "b")


@dataclass(frozen=True, slots=True)
class RequestsPage:
    """One page of requests.

    Args:
        rows: One attempt of each request with the columns of `LISTED`, the newest first. If the filter names a lane, a
            model or an outcome, it is the last attempt that fits; else the one that answered, else the last one.
        attempts: Request id -> (number of its attempts, their cost together in nano-USD).
        newer, older: Beginnings of the neighbouring pages; None: there are none.
        stopped_at_us: Time, microseconds, to which the page looked back before it stopped; None: it did not stop early.
    """

    rows: Sequence[Row]
    attempts: dict[str, tuple[int, int]]
    newer: Cursor | None
    older: Cursor | None
    stopped_at_us: int | None


def read_page(
    engine: Engine, account: str, wanted: RequestFilter, cursor: Cursor | None, page_rows: int = PAGE_ROWS
) -> RequestsPage:
    """Return a page of an account's requests."""
    is_backwards = cursor is not None and cursor.is_backwards
    with engine.connect() as connection:
        if len(wanted.id_text.removeprefix(_ID_PREFIX)) >= _TELLING_CHARACTERS:
            first = _conditions_by_id(account, wanted, connection.dialect.name)
            others: list[ColumnElement[bool]] = []
        else:
            first, others = _conditions(account, wanted, connection.dialect.name)
        beyond = [*first, *_beyond(cursor)]
        bound = _bound(connection, beyond, is_backwards) if others else None
        within = [] if bound is None else [_is_before(bound, is_backwards)]
        query = (
            select(*LISTED)
            .where(*beyond, *within, *others, _is_shown(wanted))
            .order_by(*_order(is_backwards))
            .limit(page_rows + 1)
        )
        fetched = list(connection.execute(query).all())
        rows = fetched[:page_rows]
        has_more = len(fetched) > page_rows
        attempts = _attempts_of(connection, [row.request_id for row in rows])
    if is_backwards:
        rows.reverse()
    stopped = bound if bound is not None and not has_more else None
    return RequestsPage(
        rows,
        attempts,
        *_neighbours(rows, cursor, has_more, stopped),
        None if stopped is None else stopped.started_at_us,
    )


def read_choices(engine: Engine, account: str) -> dict[str, list[str]]:
    """Return the lanes, models and virtual keys of an account's requests, each sorted, by one look into an index."""
    columns = {"lane": "lane_id", "model": "vendor_model", "key": "virtual_key_id"}
    with engine.connect() as connection:
        return {name: _distinct(connection, account, column) for name, column in columns.items()}


def _conditions(
    account: str, wanted: RequestFilter, dialect: str
) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
    """Return the conditions that one index answers, and the others, which the rows answer."""
    first: list[ColumnElement[bool]] = [_ATTEMPT.account == account]
    if wanted.since is not None:
        first.append(_ATTEMPT.started_at_us >= to_microseconds(wanted.since))
    if wanted.until is not None:
        first.append(_ATTEMPT.started_at_us < to_microseconds(wanted.until))
    # From the condition that is likely to leave the fewest rows to the one that leaves the most.
    plain: list[tuple[KeyedColumnElement[Any], str]] = [
        (column, value)
        for column, value in (
            (_ATTEMPT.outcome, "" if wanted.outcome in ("ok", "failed") else wanted.outcome),
            (_ATTEMPT.virtual_key_id, wanted.virtual_key),
            (_ATTEMPT.lane_id, wanted.lane),
            (_ATTEMPT.vendor_model, wanted.model),
        )
        if value
    ]
    others = [_unindexed(column, dialect) == value for column, value in plain[1:]]
    first += [column == value for column, value in plain[:1]]
    if plain and plain[0][0] is _ATTEMPT.outcome:
        first.append(_literal("attempt.outcome <> 'ok'"))  # word for word as in the partial index
    if wanted.outcome in ("ok", "failed"):
        is_ok = _unindexed(_ATTEMPT.outcome, dialect) == "ok"
        others.append(is_ok if wanted.outcome == "ok" else not_(is_ok))
    if wanted.tag:
        if not plain:
            first.append(
                _literal("CAST(attempt.tags AS TEXT) <> '[]'" if dialect == "postgresql" else "attempt.tags <> '[]'")
            )
        others.append(_has_tag(wanted.tag, dialect))
    if wanted.id_text:
        others.append(_begins(wanted.id_text))
    return first, others


def _conditions_by_id(account: str, wanted: RequestFilter, dialect: str) -> list[ColumnElement[bool]]:
    """Return all conditions for a beginning of an id that is long enough to find its few rows."""
    first, others = _conditions("", replace(wanted, id_text=""), dialect)
    return [_begins(wanted.id_text), _unindexed(_ATTEMPT.account, dialect) == account, *first[1:], *others]


def _unindexed(column: KeyedColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Return a column in a form that keeps SQLite from using its index: SQLite does not know how common values are."""
    return column.op("||")("") if dialect == "sqlite" else column


def _begins(id_text: str) -> ColumnElement[bool]:
    prefix = id_text if id_text.startswith(_ID_PREFIX) else _ID_PREFIX + id_text
    return and_(_ATTEMPT.request_id >= prefix, _ATTEMPT.request_id < prefix + _LAST_CHARACTER)


def _has_tag(tag: str, dialect: str) -> ColumnElement[bool]:
    if dialect == "postgresql":
        return _literal("CAST(attempt.tags AS JSONB) @> jsonb_build_array(CAST(:tag AS TEXT))", tag=tag)
    return _literal("EXISTS (SELECT 1 FROM json_each(attempt.tags) WHERE value = :tag)", tag=tag)


def _literal(condition: str, **values: str) -> ColumnElement[bool]:
    """Return a condition as SQL text. Only its values may come from outside."""
    return cast("ColumnElement[bool]", text(condition).bindparams(**values))


def _is_shown(wanted: RequestFilter) -> ColumnElement[bool]:
    """Keep one attempt of each request: the last one that fits the filter.

    Without a filter it is the attempt that answered, else the last one.
    """
    same_request = (_OTHER.c.request_id == _ATTEMPT.request_id, _OTHER.c.attempt != _ATTEMPT.attempt)
    meant = _meant_attempts(wanted)
    if meant:
        return not_(exists().where(*same_request, _OTHER.c.attempt > _ATTEMPT.attempt, *meant))
    is_better = or_(_OTHER.c.outcome == "ok", _OTHER.c.attempt > _ATTEMPT.attempt)
    return or_(_ATTEMPT.outcome == "ok", not_(exists().where(*same_request, is_better)))


def _meant_attempts(wanted: RequestFilter) -> list[ColumnElement[bool]]:
    """Return the conditions under which another attempt of the same request fits the filter too."""
    other = _OTHER.c
    conditions = []
    if wanted.outcome:
        conditions.append(other.outcome != "ok" if wanted.outcome == "failed" else other.outcome == wanted.outcome)
    pairs = ((other.lane_id, wanted.lane), (other.vendor_model, wanted.model))
    return [*conditions, *(column == value for column, value in pairs if value)]


def _beyond(cursor: Cursor | None) -> list[ColumnElement[bool]]:
    if cursor is None:
        return []
    place = tuple_(cursor.started_at_us, cursor.request_id)
    # The first condition follows from the second. It lets the database start in the middle of its index.
    if cursor.is_backwards:
        return [_ATTEMPT.started_at_us >= cursor.started_at_us, tuple_(*_KEY) > place]
    return [_ATTEMPT.started_at_us <= cursor.started_at_us, tuple_(*_KEY) < place]


def _bound(connection: Connection, beyond: Sequence[ColumnElement[bool]], is_backwards: bool) -> Cursor | None:
    """Return the last row that may be looked at; None: there are fewer rows."""
    query = select(*_KEY).where(*beyond).order_by(*_order(is_backwards)).offset(LOOKED_AT).limit(1)
    row = connection.execute(query).first()
    return None if row is None else Cursor(row.started_at_us, row.request_id, is_backwards)


def _is_before(bound: Cursor, is_backwards: bool) -> ColumnElement[bool]:
    place = tuple_(bound.started_at_us, bound.request_id)
    if is_backwards:
        return and_(_ATTEMPT.started_at_us <= bound.started_at_us, tuple_(*_KEY) <= place)
    return and_(_ATTEMPT.started_at_us >= bound.started_at_us, tuple_(*_KEY) >= place)


def _order(is_backwards: bool) -> list[ColumnElement[Any]]:
    return [column.asc() if is_backwards else column.desc() for column in _KEY]


def _neighbours(
    rows: Sequence[Row], cursor: Cursor | None, has_more: bool, stopped: Cursor | None
) -> tuple[Cursor | None, Cursor | None]:
    is_backwards = cursor is not None and cursor.is_backwards
    go_on = None if stopped is None else Cursor(stopped.started_at_us, stopped.request_id, is_backwards)
    if not rows:
        return (go_on, None) if is_backwards else (None, go_on)
    top = Cursor(rows[0].started_at_us, rows[0].request_id, True)
    bottom = Cursor(rows[-1].started_at_us, rows[-1].request_id)
    if is_backwards:
        return (top if has_more else go_on), bottom
    return (top if cursor is not None else None), (bottom if has_more else go_on)


def _attempts_of(connection: Connection, request_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    query = (
        select(_ATTEMPT.request_id, func.count(), func.coalesce(func.sum(_ATTEMPT.cost_nusd), 0))
        .where(_ATTEMPT.request_id.in_(request_ids))
        .group_by(_ATTEMPT.request_id)
    )
    return {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(query)} if request_ids else {}


def _distinct(connection: Connection, account: str, column: str) -> list[str]:
    # The column is one of ours, never text from outside. Each step finds the next value, so that a million rows cost as
    # much as ten.
    steps = text(
        f"WITH RECURSIVE step(value) AS ("  # noqa: S608
        f" SELECT min({column}) FROM attempt WHERE account = :account"
        f" UNION ALL SELECT (SELECT min({column}) FROM attempt WHERE account = :account AND {column} > step.value)"
        f" FROM step WHERE step.value IS NOT NULL) SELECT value FROM step WHERE value IS NOT NULL LIMIT {_MOST_CHOICES}"
    )
    return list(connection.execute(steps, {"account": account}).scalars())
