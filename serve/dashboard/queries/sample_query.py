"""A random sample of an account's answers with their decisions, from which sums of predictions are estimated."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, select

from router.telemetry_schema import CandidateTable
from serve.instant import to_microseconds
from serve.storage.tables import ATTEMPT_TABLE, LANE_LIST_TABLE
from serve.telemetry.candidate_codec import unpack_candidates

_ATTEMPT: Final = ATTEMPT_TABLE.c
SAMPLE_ANSWERS: Final = 1_000
_ID_DIGITS: Final = 8
_SHORTEST_MEMORY_S: Final = 5.0
_TIMES_ITS_COST: Final = 50.0
_MOST_REMEMBERED: Final = 200
_KEYS_A_QUERY: Final = 400


@dataclass(frozen=True, slots=True)
class SampledAnswer:
    """One answer: its lane, cost and speed, and the expected figures of all lanes."""

    lane_id: str
    cost_nusd: int | None
    ttft_ms: float | None
    total_ms: float | None
    candidates: CandidateTable


class SampleReader:
    """Draws samples. Each is remembered fifty times as long as it took to draw, so that live pages cost little.

    Args:
        engine: Engine of the database.
        monotonic: Function that returns monotonic seconds.
    """

    def __init__(self, engine: Engine, monotonic: Callable[[], float]) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._remembered: dict[tuple[str, datetime], tuple[float, tuple[SampledAnswer, ...]]] = {}

    def draw(self, account: str, since: datetime, n_answered: int) -> tuple[SampledAnswer, ...]:
        """Return about `SAMPLE_ANSWERS` of the account's answers since then, or all if there are fewer.

        Args:
            account: Account of the answers.
            since: First instant of the span.
            n_answered: Approximate number of answers; ids are random, so that a range of them is a sample.
        """
        started = self._monotonic()
        with self._lock:
            remembered = self._remembered.get((account, since))
        if remembered is not None and remembered[0] > started:
            return remembered[1]
        with self._engine.connect() as connection:
            drawn = _draw(connection, account, since, n_answered)
        now = self._monotonic()
        with self._lock:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            memory_s = max(_SHORTEST_MEMORY_S, (now - started) * _TIMES_ITS_COST)
            self._remembered[account, since] = (now + memory_s, drawn)
        return drawn


def _draw(connection: Connection, account: str, since: datetime, n_answered: int) -> tuple[SampledAnswer, ...]:
    keys = (
        select(_ATTEMPT.request_id, _ATTEMPT.attempt)
        .where(_ATTEMPT.account == account, _ATTEMPT.started_at_us >= to_microseconds(since), _ATTEMPT.outcome == "ok")
        .limit(2 * SAMPLE_ANSWERS)
    )
    if n_answered > SAMPLE_ANSWERS:
        below = int(16**_ID_DIGITS * SAMPLE_ANSWERS / n_answered)
        keys = keys.where(_ATTEMPT.request_id < f"req_{below:0{_ID_DIGITS}x}")
    chosen = {(row.request_id, row.attempt) for row in connection.execute(keys)}
    wanted = sorted({request_id for request_id, _ in chosen})
    columns = ("request_id", "attempt", "lane_id", "cost_nusd", "ttft_ms", "total_ms", "lane_list_id", "candidates")
    # By one column: SQLite does not look up pairs of values in an index, but reads the whole table for them.
    rows = [
        row
        for start in range(0, len(wanted), _KEYS_A_QUERY)
        for row in connection.execute(
            select(*(_ATTEMPT[name] for name in columns)).where(
                _ATTEMPT.request_id.in_(wanted[start : start + _KEYS_A_QUERY])
            )
        )
        if row.candidates is not None and (row.request_id, row.attempt) in chosen
    ]
    ids = {row.lane_list_id for row in rows}
    lists = connection.execute(select(LANE_LIST_TABLE).where(LANE_LIST_TABLE.c.lane_list_id.in_(ids))) if ids else ()
    lane_lists = {row.lane_list_id: tuple(row.lane_ids) for row in lists}
    return tuple(
        SampledAnswer(
            row.lane_id,
            row.cost_nusd,
            row.ttft_ms,
            row.total_ms,
            unpack_candidates(row.candidates, lane_lists[row.lane_list_id]),
        )
        for row in rows
    )
