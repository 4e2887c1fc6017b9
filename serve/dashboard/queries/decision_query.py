"""One request: all its attempts, and the feedback on its answer."""

from dataclasses import dataclass

from sqlalchemy import Engine, select

from router.telemetry_schema import AttemptRow, FeedbackRow
from serve.instant import from_microseconds
from serve.storage.tables import ATTEMPT_TABLE, FEEDBACK_TABLE, LANE_LIST_TABLE
from serve.telemetry.attempt_codec import decode_attempt


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """The stored rows of a request: `attempts` in their order, at least one, and `feedback` as it came."""

    attempts: tuple[AttemptRow, ...]
    feedback: tuple[FeedbackRow, ...]


def read_request(engine: Engine, account: str, request_id: str) -> StoredRequest | None:
    """Return an account's request; None: the account has no such request."""
    attempt, feedback = ATTEMPT_TABLE.c, FEEDBACK_TABLE.c
    query = (
        select(ATTEMPT_TABLE)
        .where(attempt.request_id == request_id, attempt.account == account)
        .order_by(attempt.attempt)
    )
    feedback_query = select(FEEDBACK_TABLE).where(feedback.request_id == request_id).order_by(feedback.received_at_us)
    with engine.connect() as connection:
        stored = connection.execute(query).mappings().all()
        if not stored:
            return None
        ids = {row["lane_list_id"] for row in stored} - {None}
        lists = (
            connection.execute(select(LANE_LIST_TABLE).where(LANE_LIST_TABLE.c.lane_list_id.in_(ids))) if ids else ()
        )
        lane_lists = {row.lane_list_id: tuple(row.lane_ids) for row in lists}
        judged = connection.execute(feedback_query).mappings().all()
    return StoredRequest(
        tuple(decode_attempt(row, lane_lists) for row in stored),
        tuple(
            FeedbackRow(
                request_id=row["request_id"],
                metric_name=row["metric_name"],
                value=row["value"],
                comment=None if row["comment"] is None else row["comment"].decode(),
                given_by=row["given_by"],
                received_at=from_microseconds(row["received_at_us"]),
            )
            for row in judged
        ),
    )
