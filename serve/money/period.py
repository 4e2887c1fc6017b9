"""Calendar months, in the time zone of a budget."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Period:
    """One calendar month in some time zone.

    Args:
        name: Name, such as `2026-11`.
        starts_at, ends_at: First instant of this month and of the next one, UTC.
    """

    name: str
    starts_at: datetime
    ends_at: datetime


def month_of(instant: datetime, time_zone: ZoneInfo) -> Period:
    """Return the month of an aware instant in a time zone.

    If the clocks change at midnight of the first day, the later of its two first instants counts.
    """
    local = instant.astimezone(time_zone)
    first = datetime(local.year, local.month, 1, tzinfo=time_zone)
    next_year, next_month = divmod(local.month, 12)
    following = datetime(local.year + next_year, next_month + 1, 1, tzinfo=time_zone)
    return Period(f"{local.year:04d}-{local.month:02d}", first.astimezone(UTC), following.astimezone(UTC))
