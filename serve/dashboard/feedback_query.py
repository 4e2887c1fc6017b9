"""Thumbs on an account's answers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, case, func, select

from serve.storage.candidate_codec import unpack_candidates
from serve.storage.instant import to_microseconds
from serve.storage.tables import ATTEMPT_TABLE, FEEDBACK_TABLE, LANE_LIST_TABLE

_ATTEMPT: Final = ATTEMPT_TABLE.c
_FEEDBACK: Final = FEEDBACK_TABLE.c
_LATEST: Final = 20_000
_JUDGED: Final = 2_000
_UP: Final = 0.5


@dataclass(frozen=True, slots=True)
class Thumbs:
    """How many were given, and how many of them up."""

    given: int
    up: int


def read_thumbs(engine: Engine, account: str, since: datetime) -> Thumbs:
    """Return the thumbs given since then, of the latest 20,000 pieces of feedback."""
    latest = (
        select(_FEEDBACK.request_id, _FEEDBACK.metric_name, _FEEDBACK.value)
        .where(_FEEDBACK.received_at_us >= to_microseconds(since))
        .order_by(_FEEDBACK.received_at_us.desc())
        .limit(_LATEST)
        .subquery()
    )
    query = (
        select(func.count(), func.coalesce(func.sum(case((latest.c.value >= _UP, 1), else_=0)), 0))
        .join(ATTEMPT_TABLE, (_ATTEMPT.request_id == latest.c.request_id) & (_ATTEMPT.attempt == 0))
        .where(latest.c.metric_name == "thumbs", _ATTEMPT.account == account)
    )
    with engine.connect() as connection:
        given, up = connection.execute(query).one()
    return Thumbs(int(given), int(up))


def read_judged_qualities(engine: Engine, account: str) -> list[tuple[float, float]]:
    """Return (predicted quality, thumb) of the latest judged answers, up to 2,000; both 0..1."""
    query = (
        select(_ATTEMPT.lane_id, _ATTEMPT.candidates, LANE_LIST_TABLE.c.lane_ids, _FEEDBACK.value)
        .select_from(FEEDBACK_TABLE)
        .join(ATTEMPT_TABLE, _ATTEMPT.request_id == _FEEDBACK.request_id)
        .join(LANE_LIST_TABLE, LANE_LIST_TABLE.c.lane_list_id == _ATTEMPT.lane_list_id)
        .where(_FEEDBACK.metric_name == "thumbs", _ATTEMPT.account == account, _ATTEMPT.outcome == "ok")
        .order_by(_FEEDBACK.received_at_us.desc())
        .limit(_JUDGED)
    )
    pairs = []
    with engine.connect() as connection:
        for row in connection.execute(query):
            lane_ids = tuple(row.lane_ids)
            quality = float(unpack_candidates(row.candidates, lane_ids).quality[lane_ids.index(row.lane_id)])
            if quality == quality:  # predicted
                pairs.append((quality, float(row.value >= _UP)))
    return pairs
