"""The list of requests. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlencode

from serve.dashboard.queries.requests_filter import RequestFilter
from serve.dashboard.queries.requests_query import Cursor, RequestsPage
from serve.instant import from_microseconds

Mood = Literal["good", "warn", "bad", "calm"]


@dataclass(frozen=True, slots=True)
class RequestLine:
    """One request of the list.

    Args:
        cost_nusd: Cost of all its attempts; None: unknown.
        attempts: Number of its attempts.
        mood: Colour of its outcome.
    """

    request_id: str
    started_at: datetime
    lane_id: str
    vendor_model: str
    virtual_key_id: str | None
    tags: tuple[str, ...]
    outcome: str
    mood: Mood
    reason: str
    attempts: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_nusd: int | None
    total_ms: float | None
    is_streaming: bool


@dataclass(frozen=True, slots=True)
class RequestsView:
    """The list.

    Args:
        lines: Requests, the newest first.
        newer, older: Query strings of the neighbouring pages; empty: there are none.
        stopped_at: Time to which the search went back before it stopped; None: it is complete.
        export: Query string of the same filter.
    """

    lines: Sequence[RequestLine]
    newer: str
    older: str
    stopped_at: datetime | None
    export: str


def mood_of(outcome: str) -> Mood:
    """Return the colour of an outcome: answered, given up, or failed."""
    if outcome == "ok":
        return "good"
    return "warn" if outcome in ("client_disconnected", "superseded", "refused") else "bad"


def requests_view(page: RequestsPage, wanted: RequestFilter) -> RequestsView:
    """Return the view of a page of requests."""
    return RequestsView(
        [request_line(row._mapping, page.attempts) for row in page.rows],
        _link(wanted, page.newer),
        _link(wanted, page.older),
        None if page.stopped_at_us is None else from_microseconds(page.stopped_at_us),
        wanted.query_string,
    )


def request_line(row: Mapping[str, object], attempts: Mapping[str, tuple[int, int]]) -> RequestLine:
    """Return a line from a row with the columns of `requests_query.LISTED`."""
    stored: dict[str, object] = dict(row)
    n_attempts, total_nusd = attempts.get(str(stored["request_id"]), (1, 0))
    is_unpriced = stored["cost_nusd"] is None and n_attempts == 1
    tags = stored["tags"]
    outcome = str(stored["outcome"])
    return RequestLine(
        request_id=str(stored["request_id"]),
        started_at=from_microseconds(stored["started_at_us"]),  # type: ignore[arg-type]  # an integer column
        lane_id=str(stored["lane_id"]),
        vendor_model=str(stored["vendor_model"]),
        virtual_key_id=stored["virtual_key_id"],  # type: ignore[arg-type]  # a text column
        tags=tuple(json.loads(tags) if isinstance(tags, str) else tags),  # type: ignore[arg-type]
        outcome=outcome,
        mood=mood_of(outcome),
        reason=str(stored["reason"]),
        attempts=n_attempts,
        prompt_tokens=stored["prompt_tokens"],  # type: ignore[arg-type]
        completion_tokens=stored["completion_tokens"],  # type: ignore[arg-type]
        cost_nusd=None if is_unpriced else total_nusd,
        total_ms=stored["total_ms"],  # type: ignore[arg-type]
        is_streaming=bool(stored["is_streaming"]),
    )


def _link(wanted: RequestFilter, cursor: Cursor | None) -> str:
    return "" if cursor is None else urlencode({**wanted.fields, "at": str(cursor)})
