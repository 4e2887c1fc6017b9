"""What the page of one request shows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from router.telemetry_schema import AttemptRow, FeedbackRow
from serve.dashboard.queries.decision_query import StoredRequest
from serve.dashboard.views.candidates_view import CandidatesView, candidates_view
from serve.dashboard.views.requests_view import Mood, mood_of
from serve.dashboard.views.runner_up import PolicyDefaults, runner_up_of

REASONS = {
    "cheapest_above_bar": "the cheapest lane expected to meet the quality bar",
    "best_below_bar": "no lane is expected to meet the bar, so the one expected to be best",
    "best_quality_per_dollar": "the best quality for its cost",
    "cheapest": "the cheapest lane",
    "lowest_latency": "the quickest lane",
    "only_candidate": "the only lane that could answer",
    "pinned": "the request asked for it by name",
    "affinity": "its prompt cache holds the conversation",
    "explored": "drawn to learn about it",
    "fallback_rate_limited": "the lane before it had reached a limit",
    "fallback_error": "the lane before it failed",
    "fallback_slow": "the lane before it was slow to begin",
    "fallback_budget": "the budget of the lane before it was spent",
    "router_unavailable": "the quality model failed, so cost alone decided",
}
"""A reason -> in words."""
_LENGTH = 1_000


@dataclass(frozen=True, slots=True)
class TimeBar:
    """One attempt on the time line, in per mille of its length: where it begins, the wait for the first token, the answer."""

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
"""What 0 and 1 mean."""


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One attempt, how it looks, and its place on the time line."""

    row: AttemptRow
    mood: Mood
    why: str
    bar: TimeBar | None


@dataclass(frozen=True, slots=True)
class SaidLine:
    """A piece of feedback in words: what was judged, how, by whom."""

    metric_name: str
    value_text: str
    giver: str
    comment: str | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class DecisionView:
    """The page.

    Args:
        answer: The attempt that answered, else the last one.
        mood: How it ended.
        attempts: In their order.
        total_cost_nusd: Of all attempts; None: one of them is not known.
        total_ms: All attempts after each other; None: not known.
        candidates: None: nothing was decided, or it was not logged.
        thumbs: The last thumb: 1, 0 or None.
        feedback: All that was said.
    """

    answer: AttemptRow
    mood: Mood
    why: str
    attempts: Sequence[AttemptLine]
    total_cost_nusd: int | None
    total_ms: float | None
    candidates: CandidatesView | None
    thumbs: float | None
    feedback: Sequence[SaidLine]


def decision_view(stored: StoredRequest, defaults: PolicyDefaults) -> DecisionView:
    """Return the view of a stored request; `defaults` are those that policies fall back to."""
    rows = stored.attempts
    answer = next((row for row in rows if row.outcome == "ok"), rows[-1])
    costs = [row.cost_nusd for row in rows]
    total_ms = sum(row.total_ms or 0.0 for row in rows)
    known_costs = [cost for cost in costs if cost is not None]
    thumbs = [said.value for said in stored.feedback if said.metric_name == "thumbs"]
    table = rows[0].candidates
    return DecisionView(
        answer=answer,
        mood=mood_of(answer.outcome),
        why=REASONS.get(answer.reason, answer.reason),
        attempts=_attempt_lines(rows, total_ms),
        total_cost_nusd=sum(known_costs) if len(known_costs) == len(costs) else None,
        total_ms=total_ms or None,
        candidates=None
        if table is None
        else candidates_view(table.to_candidates(), rows[0].lane_id, runner_up_of(rows, defaults)),
        thumbs=thumbs[-1] if thumbs else None,
        feedback=[_said_line(said) for said in stored.feedback],
    )


def _said_line(said: FeedbackRow) -> SaidLine:
    source, _, name = said.given_by.partition(":")
    giver = (
        {"check": "an automatic check", "judge": f"the judge {name}"}.get(source, said.given_by)
        if name
        else said.given_by
    )
    words = _VALUE_WORDS.get(said.metric_name)
    text = f"{said.value:g}" if words is None or said.value not in (0.0, 1.0) else words[int(said.value)]
    return SaidLine(said.metric_name, text, giver, said.comment, said.received_at)


def _attempt_lines(rows: Sequence[AttemptRow], total_ms: float) -> list[AttemptLine]:
    lines, start = [], 0.0
    for row in rows:
        bar = None
        if total_ms > 0 and row.total_ms is not None:
            waiting = min(row.ttft_ms if row.ttft_ms is not None else row.total_ms, row.total_ms)
            parts = (start, waiting, row.total_ms - waiting)
            bar = TimeBar(*(round(part / total_ms * _LENGTH, 1) for part in parts))
            start += row.total_ms
        lines.append(AttemptLine(row, mood_of(row.outcome), REASONS.get(row.reason, row.reason), bar))
    return lines
