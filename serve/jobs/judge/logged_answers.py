"""Finds logged answers with their text, and stores a judge's judgements of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, func, select

from router.telemetry_schema import FeedbackRow
from serve.instant import to_microseconds
from serve.storage.tables import ATTEMPT_TABLE, FEEDBACK_TABLE, LANE_LIST_TABLE
from serve.telemetry.candidate_codec import unpack_candidates
from serve.telemetry.feedback_repository import FeedbackRepository

UNJUDGED_TAGS: Final = frozenset({"judge", "calibration"})
"""Tags of our own requests. Their answers say nothing about the answers that users get."""
MOST_LOOKED_AT: Final = 20_000
_IDS_A_QUERY: Final = 500
_ATTEMPT: Final = ATTEMPT_TABLE.c


@dataclass(frozen=True, slots=True)
class LoggedAnswer:
    """One answer that can be judged.

    Args:
        request_id: Id of the request that it answers.
        lane_id, vendor_model: Lane and model that gave it.
        prompt_digest: Hash of the prompt; equal for equal prompts.
        n_characters: Length of prompt and answer together.
        quality: Predicted P(good answer), 0..1; None: there was no prediction.
        quality_std: Standard deviation of that prediction; None: there was no prediction.
    """

    request_id: str
    lane_id: str
    vendor_model: str
    prompt_digest: bytes
    n_characters: int
    quality: float | None
    quality_std: float | None

    @property
    def doubt(self) -> float:
        """Variance of whether the answer is good. It is largest for the answers whose judgement is most informative."""
        if self.quality is None or self.quality_std is None:
            return 0.5
        return self.quality * (1 - self.quality) + self.quality_std**2


@dataclass(frozen=True, slots=True)
class Texts:
    """The prompt and the answer of one request."""

    prompt: str
    answer: str


class LoggedAnswers:
    """The parts of the log that a judge needs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._feedback = FeedbackRepository(engine)

    def find(self, account: str, since: datetime) -> list[LoggedAnswer]:
        """Return an account's answers with their text since then, the latest first, 20,000 at most."""
        wanted = (
            _ATTEMPT.request_id, _ATTEMPT.lane_id, _ATTEMPT.vendor_model, _ATTEMPT.tags, _ATTEMPT.lane_list_id,
            _ATTEMPT.candidates, _ATTEMPT.prompt_text, func.length(_ATTEMPT.answer_text).label("answer_bytes"),
        )  # fmt: skip
        query = (
            select(*wanted)
            .where(
                _ATTEMPT.account == account, _ATTEMPT.started_at_us >= to_microseconds(since), _ATTEMPT.outcome == "ok"
            )
            .where(_ATTEMPT.prompt_text.is_not(None), _ATTEMPT.answer_text.is_not(None))
            .order_by(_ATTEMPT.started_at_us.desc())
            .limit(MOST_LOOKED_AT)
        )
        answers = []
        with self._engine.connect() as connection:
            lists = {row.lane_list_id: tuple(row.lane_ids) for row in connection.execute(select(LANE_LIST_TABLE))}
            for row in connection.execution_options(yield_per=200).execute(query):
                if UNJUDGED_TAGS.isdisjoint(row.tags):
                    prediction = _prediction(row.candidates, lists.get(row.lane_list_id, ()), row.lane_id)
                    digest = hashlib.blake2b(row.prompt_text, digest_size=12).digest()
                    n_characters = len(row.prompt_text) + row.answer_bytes
                    answers.append(
                        LoggedAnswer(row.request_id, row.lane_id, row.vendor_model, digest, n_characters, *prediction)
                    )
        return answers

    def judged_by(self, judge: str, metric_names: Sequence[str], request_ids: Sequence[str]) -> set[str]:
        """Return those of the requests that a judge has judged by one of these metrics."""
        feedback = FEEDBACK_TABLE.c
        judged: set[str] = set()
        with self._engine.connect() as connection:
            for start in range(0, len(request_ids), _IDS_A_QUERY):
                query = select(feedback.request_id).where(
                    feedback.request_id.in_(request_ids[start : start + _IDS_A_QUERY]),
                    feedback.metric_name.in_(metric_names),
                    feedback.given_by == judge,
                )
                judged |= set(connection.execute(query).scalars())
        return judged

    def texts(self, request_id: str) -> Texts | None:
        """Return the texts of an answer; None: they were deleted."""
        query = select(_ATTEMPT.prompt_text, _ATTEMPT.answer_text).where(
            _ATTEMPT.request_id == request_id, _ATTEMPT.outcome == "ok", _ATTEMPT.answer_text.is_not(None)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return (
            None
            if row is None or row.prompt_text is None
            else Texts(row.prompt_text.decode(), row.answer_text.decode())
        )

    def record(self, rows: Sequence[FeedbackRow]) -> None:
        """Store judgements at once, so that a judgement that was paid for is never paid for again."""
        self._feedback.insert_many(rows)


def _prediction(candidates: bytes | None, lane_ids: tuple[str, ...], lane_id: str) -> tuple[float | None, float | None]:
    if candidates is None or lane_id not in lane_ids:
        return None, None
    table, row = unpack_candidates(candidates, lane_ids), lane_ids.index(lane_id)
    quality, std = float(table.quality[row]), float(table.quality_std[row])
    return (quality, std) if quality == quality and std == std else (None, None)
