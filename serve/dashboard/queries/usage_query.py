"""Sums of an account's usage, by lane. They are read from an index only, and remembered for spans in the past."""

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine, case, func, select

from serve.instant import to_microseconds
from serve.storage.tables import ATTEMPT_TABLE

_ATTEMPT: Final = ATTEMPT_TABLE.c
# An attempt is stored after its end, so its start lies in the past by the length of an upstream call, and by the time
# that the database did not answer.
_SETTLED_AFTER: Final = timedelta(hours=2)
_REMEMBERED_FOR_S: Final = 3_600.0
_MOST_REMEMBERED: Final = 2_000


@dataclass(frozen=True, slots=True)
class LaneSum:
    """The sums of one lane for an account in a span of time.

    Args:
        lane_id: Id of the lane.
        requests: Requests whose first attempt went there.
        attempts: Attempts, fallbacks included.
        answered: Attempts that answered.
        cost_nusd: Cost of all attempts with a known cost.
        unpriced: Attempts without a known cost.
    """

    lane_id: str
    requests: int
    attempts: int
    answered: int
    cost_nusd: int
    unpriced: int


LaneSums = tuple[LaneSum, ...]


class UsageReader:
    """Reads sums.

    Args:
        engine: Engine of the database.
        now, monotonic: Functions that return the time.
    """

    def __init__(self, engine: Engine, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._remembered: OrderedDict[tuple[str, datetime, datetime], tuple[float, LaneSums]] = OrderedDict()

    def sums(self, account: str, since: datetime, until: datetime) -> LaneSums:
        """Return the sums of attempts with since <= started_at < until, by lane."""
        key = (account, since, until)
        now_s = self._monotonic()
        with self._lock:
            remembered = self._remembered.get(key)
        if remembered is not None and now_s - remembered[0] < _REMEMBERED_FOR_S:
            return remembered[1]
        sums = self._read(account, since, until)
        if until <= self._now() - _SETTLED_AFTER:
            with self._lock:
                self._remembered[key] = (now_s, sums)
                while len(self._remembered) > _MOST_REMEMBERED:
                    self._remembered.popitem(last=False)
        return sums

    def _read(self, account: str, since: datetime, until: datetime) -> LaneSums:
        is_first = case((_ATTEMPT.attempt == 0, 1), else_=0)
        is_answer = case((_ATTEMPT.outcome == "ok", 1), else_=0)
        query = (
            select(
                _ATTEMPT.lane_id,
                func.sum(is_first),
                func.count(),
                func.sum(is_answer),
                func.coalesce(func.sum(_ATTEMPT.cost_nusd), 0),
                func.count() - func.count(_ATTEMPT.cost_nusd),
            )
            .where(
                _ATTEMPT.account == account,
                _ATTEMPT.started_at_us >= to_microseconds(since),
                _ATTEMPT.started_at_us < to_microseconds(until),
            )
            .group_by(_ATTEMPT.lane_id)
            .order_by(_ATTEMPT.lane_id)
        )
        with self._engine.connect() as connection:
            return tuple(LaneSum(row[0], *(int(value) for value in row[1:])) for row in connection.execute(query))


def add_up(spans: list[LaneSums]) -> LaneSums:
    """Return the sums of several spans together, by lane."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
    for lane_sum in (lane_sum for span in spans for lane_sum in span):
        total = totals[lane_sum.lane_id]
        for place, value in enumerate(
            (lane_sum.requests, lane_sum.attempts, lane_sum.answered, lane_sum.cost_nusd, lane_sum.unpriced)
        ):
            total[place] += value
    return tuple(LaneSum(lane_id, *totals[lane_id]) for lane_id in sorted(totals))
