"""Stores and reads attempts."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine, select, tuple_

from router.telemetry_schema import STOPPED_OUTCOMES, AttemptRow
from serve.instant import from_microseconds, to_microseconds
from serve.storage.batch_insert import BatchInsert
from serve.storage.database import SQLITE_BEGIN
from serve.storage.tables import ATTEMPT_TABLE, LANE_LIST_TABLE
from serve.telemetry.attempt_codec import STORED_ORDER, StoredRow, decode_attempt, encode_attempt
from serve.telemetry.candidate_codec import lane_list_id_of
from serve.telemetry.forgotten_rows import without_forgotten_attempts

_INSERT_ATTEMPTS: Final = BatchInsert(ATTEMPT_TABLE, STORED_ORDER)
_INSERT_LANE_LISTS: Final = BatchInsert(LANE_LIST_TABLE, ("lane_list_id", "lane_ids"))
_STABLE_ORDER: Final = (ATTEMPT_TABLE.c.started_at_us, ATTEMPT_TABLE.c.request_id, ATTEMPT_TABLE.c.attempt)
# The lists are few and change with the lanes; the cap bounds memory if an operator changes lanes all day.
_MAX_KNOWN_LANE_LISTS: Final = 1_024
_IDS_AT_ONCE: Final = 1_000


class AttemptRepository:
    """Attempts in one database. Writing is for one thread at a time; reading is not restricted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        self._known_lane_lists: set[tuple[str, ...]] = set()

    def insert_many(self, rows: Sequence[AttemptRow]) -> None:
        """Store all rows or none.

        A row whose (request_id, attempt) is stored already is skipped. Content that its account had deleted meanwhile
        is left out.

        Raises:
            ValueError, TypeError: A row cannot be encoded; see `encode_attempt`.
            sqlalchemy.exc.DBAPIError: The database refused.
        """
        self.insert_encoded([encode_attempt(row) for row in rows], lane_lists_of(rows))

    def insert_encoded(self, stored_rows: Sequence[StoredRow], lane_lists: set[tuple[str, ...]]) -> None:
        """Store rows that `encode_attempt` returned, with the lane lists they refer to; otherwise as `insert_many`."""
        new_lane_lists = lane_lists - self._known_lane_lists
        with self._writing.begin() as connection:
            _INSERT_LANE_LISTS.execute(
                connection,
                [(lane_list_id_of(lane_ids), msgspec.json.encode(lane_ids).decode()) for lane_ids in new_lane_lists],
            )
            _INSERT_ATTEMPTS.execute(connection, without_forgotten_attempts(connection, stored_rows))
        if len(self._known_lane_lists) > _MAX_KNOWN_LANE_LISTS:
            self._known_lane_lists.clear()
        self._known_lane_lists |= new_lane_lists

    def account_of(self, request_id: str) -> str | None:
        """Return the account of a request; None: no attempt of it is stored."""
        query = select(ATTEMPT_TABLE.c.account).where(ATTEMPT_TABLE.c.request_id == request_id).limit(1)
        with self._engine.connect() as connection:
            account = connection.execute(query).scalar()
        return None if account is None else str(account)

    def answers_of_conversation(self, account: str, conversation_id: str, limit: int) -> list[str]:
        """Return the conversation's answered requests, the latest first; as many as `limit`.

        An answer counts that the caller has seen only in part, because it stopped it or the stream broke off.
        """
        attempt = ATTEMPT_TABLE.c
        is_answer = (attempt.outcome == "ok") | (attempt.outcome.in_(STOPPED_OUTCOMES) & attempt.ttft_ms.is_not(None))
        query = (
            select(attempt.request_id)
            .where(attempt.conversation_id == conversation_id, attempt.account == account, is_answer)
            .order_by(attempt.started_at_us.desc(), attempt.request_id.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [str(request_id) for request_id in connection.execute(query).scalars()]

    def origins_of(self, request_ids: Collection[str]) -> dict[str, tuple[str, datetime]]:
        """Return request id -> its account and start time, for the requests that are stored."""
        attempt, wanted = ATTEMPT_TABLE.c, sorted(request_ids)
        origins: dict[str, tuple[str, datetime]] = {}
        with self._engine.connect() as connection:
            for start in range(0, len(wanted), _IDS_AT_ONCE):
                is_wanted = attempt.request_id.in_(wanted[start : start + _IDS_AT_ONCE])
                query = select(attempt.request_id, attempt.account, attempt.started_at_us).where(is_wanted)
                for row in connection.execute(query):
                    origins[row.request_id] = row.account, from_microseconds(row.started_at_us)
        return origins

    def read(self, since: datetime, until: datetime, *, chunk_rows: int = 1_000) -> Iterator[list[AttemptRow]]:
        """Yield attempts with since <= started_at < until in chunks, by (started_at, request_id, attempt).

        Each chunk is a query of its own, so that a long read never blocks the writer or the clean-up of SQLite's log.

        Raises:
            TypeError: An instant has no time zone.
        """
        lane_lists: dict[str, tuple[str, ...]] = {}
        query = (
            select(ATTEMPT_TABLE).where(ATTEMPT_TABLE.c.started_at_us < to_microseconds(until)).order_by(*_STABLE_ORDER)
        )
        chunk_query = query.where(ATTEMPT_TABLE.c.started_at_us >= to_microseconds(since)).limit(chunk_rows)
        while True:
            with self._engine.connect() as connection:
                stored = connection.execute(chunk_query).mappings().all()
                _add_lane_lists(connection, lane_lists, {row["lane_list_id"] for row in stored})
            if not stored:
                return
            yield [decode_attempt(row, lane_lists) for row in stored]
            last = stored[-1]
            after_last = tuple_(*_STABLE_ORDER) > tuple_(last["started_at_us"], last["request_id"], last["attempt"])
            # The first condition is redundant, but it lets the database start in the middle of its index.
            chunk_query = query.where(ATTEMPT_TABLE.c.started_at_us >= last["started_at_us"], after_last).limit(
                chunk_rows
            )


def lane_lists_of(rows: Sequence[AttemptRow]) -> set[tuple[str, ...]]:
    """Return the distinct lane lists that the candidates of `rows` refer to."""
    # By identity first: consecutive requests share one tuple, and comparing ids is faster than hashing 100 strings.
    by_identity = {id(row.candidates.lane_ids): row.candidates.lane_ids for row in rows if row.candidates is not None}
    return set(by_identity.values())


def _add_lane_lists(connection: Connection, lane_lists: dict[str, tuple[str, ...]], wanted: set[str | None]) -> None:
    missing = [lane_list_id for lane_list_id in wanted if lane_list_id is not None and lane_list_id not in lane_lists]
    if missing:
        query = select(LANE_LIST_TABLE).where(LANE_LIST_TABLE.c.lane_list_id.in_(missing))
        lane_lists.update({row.lane_list_id: tuple(row.lane_ids) for row in connection.execute(query)})
