"""What the list of requests is narrowed to: read from a query string, and written back into one. Pure."""

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
    """Conditions that all hold; empty ones are none.

    Args:
        lane, model, outcome, virtual_key, tag: Exact words; outcome may also be `failed`, any that is not `ok`.
        id_text: How the request's id begins, with or without `req_`.
        since, until: First instant, and first instant after; aware.
        fields: What was asked for, as the form shows it again.
        mistakes: What was not understood, in words.
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
        """Whether nothing is narrowed."""
        return not self.fields

    @property
    def is_about_attempts(self) -> bool:
        """Whether single attempts are meant, also those that another one made good."""
        return bool(self.lane or self.model or self.outcome)

    @property
    def query_string(self) -> str:
        """The filter for a link, without a question mark; empty where nothing is narrowed."""
        return urlencode(self.fields)


FIELDS: Final = ("q", "lane", "model", "outcome", "key", "tag", "span", "since", "until")


def read_filter(query: Mapping[str, str], now: datetime, zone: ZoneInfo) -> RequestFilter:
    """Return the filter that a query string means; what is not understood is left out and said.

    Args:
        query: Of the URL.
        now: For spans that end now.
        zone: Of times without one.
    """
    fields = {
        name: query[name].strip()[:_LONGEST_WORD].replace("\0", "") for name in FIELDS if query.get(name, "").strip()
    }
    mistakes: list[str] = []
    since = _moment(fields, "since", zone, mistakes)
    until = _moment(fields, "until", zone, mistakes)
    span = fields.get("span")
    if span is not None and span not in _SPANS:
        mistakes.append(f"{span!r} is no span of time; choose one of the list")
        del fields["span"]
    elif span is not None and since is None:
        since = now - _SPANS[span]
    outcome = fields.get("outcome", "")
    if outcome and outcome not in (*OUTCOMES, "failed"):
        mistakes.append(f"{outcome!r} is no outcome; choose one of the list")
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
        mistakes.append(f"{text!r} is no time; write 2026-11-24T14:30")
        del fields[name]
        return None
