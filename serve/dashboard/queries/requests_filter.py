"""The filter of the list of requests, read from a query string and written back into one. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from router.telemetry_schema import Outcome

OUTCOMES: Final[tuple[str, ...]] = get_args(Outcome)
_LONGEST_WORD: Final = 300
_SPANS: Final = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Conditions that all hold. An empty field is no condition.

    Args:
        lane, model, outcome, virtual_key, tag: Exact words; outcome may also be `failed`, which means all but `ok`.
        id_text: Beginning of the request's id, with or without `req_`.
        since, until: First instant, and first instant after the span; both aware.
        fields: Values of the form, as it shows them again.
        mistakes: Sentences about values that were not understood.
    """

    lane: str = ""
    model: str = ""
    outcome: str = ""
    virtual_key: str = ""
    tag: str = ""
    id_text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    mistakes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is no condition."""
        return not self.fields

    @property
    def is_about_attempts(self) -> bool:
        """Whether the conditions are about single attempts, also failed ones with a fallback that answered."""
        return bool(self.lane or self.model or self.outcome)

    @property
    def query_string(self) -> str:
        """The filter for a link, without a question mark; empty: there is no condition."""
        return urlencode(self.fields)


FIELDS: Final = ("q", "lane", "model", "outcome", "key", "tag", "span", "since", "until")


def read_filter(query: Mapping[str, str], now: datetime, zone: ZoneInfo) -> RequestFilter:
    """Return the filter in a query string. Values that are not understood are left out and listed as mistakes.

    Args:
        query: Query of the URL.
        now: Present time, the end of spans.
        zone: Time zone of times without one.
    """
    fields = {
        name: query[name].strip()[:_LONGEST_WORD].replace("\0", "") for name in FIELDS if query.get(name, "").strip()
    }
    mistakes: list[str] = []
    since = _moment(fields, "since", zone, mistakes)
    until = _moment(fields, "until", zone, mistakes)
    span = fields.get("span")
    if span is not None and span not in _SPANS:
        mistakes.append(f"{span!r} is not a span of time. Choose one from the list.")
        del fields["span"]
    elif span is not None and since is None:
        since = now - _SPANS[span]
    outcome = fields.get("outcome", "")
    if outcome and outcome not in (*OUTCOMES, "failed"):
        mistakes.append(f"{outcome!r} is not an outcome. Choose one from the list.")
        del fields["outcome"]
        outcome = ""
    return RequestFilter(
        lane=fields.get("lane", ""),
        model=fields.get("model", ""),
        outcome=outcome,
        virtual_key=fields.get("key", ""),
        tag=fields.get("tag", ""),
        id_text=fields.get("q", ""),
        since=since,
        until=until,
        fields=fields,
        mistakes=tuple(mistakes),
    )


def _moment(fields: dict[str, str], name: str, zone: ZoneInfo, mistakes: list[str]) -> datetime | None:
    text = fields.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        mistakes.append(f"{text!r} is not a time. Write 2026-11-24T14:30.")
        del fields[name]
        return None
