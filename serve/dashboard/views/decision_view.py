"""The page of one request. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.policies.registry import explain_reason
from router.telemetry_schema import AttemptRow, FeedbackRow
from serve.dashboard.queries.decision_query import StoredRequest
from serve.dashboard.views.candidates_view import CandidatesView, candidates_view
from serve.dashboard.views.lane_basis import LaneBasis
from serve.dashboard.views.requests_view import Mood, mood_of
from serve.dashboard.views.runner_up import PolicyDefaults, runner_up_of

_LENGTH = 1_000


@dataclass(frozen=True, slots=True)
class TimeBar:
    """One attempt on the time line, in per mille of its length: its start, the wait for the first token, the answer."""

    start: float
    waiting: float
    answering: float


_VALUE_WORDS = {
    "thumbs": ("down", "up"),
    "schema_valid": ("no", "yes"),
    "tool_arguments_valid": ("no", "yes"),
    "refusal": ("no", "yes"),
    "truncated": ("no", "yes"),
    "asked_again": ("no", "yes"),
}
"""Metric -> words for 0 and 1."""


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One attempt, its colour, and its place on the time line."""

    row: AttemptRow
    mood: Mood
    why: str
    bar: TimeBar | None


@dataclass(frozen=True, slots=True)
class FeedbackLine:
    """A piece of feedback in words: the metric, the value and the giver."""

    metric_name: str
    value_text: str
    giver: str
    comment: str | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class DecisionView:
    """The page.

    Args:
        answer: Attempt that answered, else the last one.
        mood: Colour of its outcome.
        why: Reason for its lane, in words.
        attempts: Attempts in their order.
        total_cost_nusd: Cost of all attempts; None: one of them is unknown.
        total_ms: Time of all attempts together; None: unknown.
        candidates: Candidates of the decision; None: nothing was decided, or it was not logged.
        thumbs: Last thumb, 1 or 0; None: there is none.
        feedback: All feedback.
    """

    answer: AttemptRow
    mood: Mood
    why: str
    attempts: Sequence[AttemptLine]
    total_cost_nusd: int | None
    total_ms: float | None
    candidates: CandidatesView | None
    thumbs: float | None
    feedback: Sequence[FeedbackLine]


def decision_view(stored: StoredRequest, defaults: PolicyDefaults, bases: Mapping[str, LaneBasis]) -> DecisionView:
    """Return the view of a stored request.

    Args:
        stored: The request.
        defaults: Values that policies use if a caller sets none.
        bases: Lane id -> what its quality rests on now.
    """
    rows = stored.attempts
    answer = next((row for row in rows if row.outcome == "ok"), rows[-1])
    costs = [row.cost_nusd for row in rows]
    total_ms = sum(row.total_ms or 0.0 for row in rows)
    known_costs = [cost for cost in costs if cost is not None]
    thumbs = [row.value for row in stored.feedback if row.metric_name == "thumbs"]
    table = rows[0].candidates
    return DecisionView(
        answer=answer,
        mood=mood_of(answer.outcome),
        why=explain_reason(answer.reason),
        attempts=_attempt_lines(rows, total_ms),
        total_cost_nusd=sum(known_costs) if len(known_costs) == len(costs) else None,
        total_ms=total_ms or None,
        candidates=None
        if table is None
        else candidates_view(table.to_candidates(), rows[0].lane_id, runner_up_of(rows, defaults), bases),
        thumbs=thumbs[-1] if thumbs else None,
        feedback=[_feedback_line(row) for row in stored.feedback],
    )


def _feedback_line(row: FeedbackRow) -> FeedbackLine:
    source, _, name = row.given_by.partition(":")
    giver = (
        {"check": "an automatic check", "judge": f"the judge {name}"}.get(source, row.given_by)
        if name
        else row.given_by
    )
    words = _VALUE_WORDS.get(row.metric_name)
    text = f"{row.value:g}" if words is None or row.value not in (0.0, 1.0) else words[int(row.value)]
    return FeedbackLine(row.metric_name, text, giver, row.comment, row.received_at)


def _attempt_lines(rows: Sequence[AttemptRow], total_ms: float) -> list[AttemptLine]:
    lines, start = [], 0.0
    for row in rows:
        bar = None
        if total_ms > 0 and row.total_ms is not None:
            waiting = min(row.ttft_ms if row.ttft_ms is not None else row.total_ms, row.total_ms)
            parts = (start, waiting, row.total_ms - waiting)
            bar = TimeBar(*(round(part / total_ms * _LENGTH, 1) for part in parts))
            start += row.total_ms
        lines.append(AttemptLine(row, mood_of(row.outcome), explain_reason(row.reason), bar))
    return lines
