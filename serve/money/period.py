"""Calendar months, in the time zone of whoever owns the budget."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Period:
    """One calendar month somewhere.

    Args:
        name: `2026-11`.
        starts_at, ends_at: Its first instant and the next month's, UTC.
    """

    name: str
    starts_at: datetime
    ends_at: datetime


def month_of(instant: datetime, time_zone: ZoneInfo) -> Period:
    """Return the month that an aware instant falls into there. Where clocks are changed at midnight, the later first instant counts."""
    local = instant.astimezone(time_zone)
    first = datetime(local.year, local.month, 1, tzinfo=time_zone)
    next_year, next_month = divmod(local.month, 12)
    following = datetime(local.year + next_year, next_month + 1, 1, tzinfo=time_zone)
    return Period(f"{local.year:04d}-{local.month:02d}", first.astimezone(UTC), following.astimezone(UTC))
