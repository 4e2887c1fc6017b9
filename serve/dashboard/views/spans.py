"""The spans of time of the overview, in days or hours of the viewer's calendar. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

SPANS: Final = {"month": "This month", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}
_DAYS: Final = {"7d": 7, "30d": 30}


@dataclass(frozen=True, slots=True)
class Bucket:
    """One day or hour.

    Args:
        since, until: First instant, and first instant after it; UTC.
        label: Name in full: `Tue 24 Nov`.
        mark: Short name for an axis: `24 Nov`, `14:00`.
    """

    since: datetime
    until: datetime
    label: str
    mark: str


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time; `name` is one of `SPANS`, `unit` is the unit of its buckets."""

    name: str
    label: str
    unit: str
    buckets: tuple[Bucket, ...]

    @property
    def since(self) -> datetime:
        """First instant of the span."""
        return self.buckets[0].since

    @property
    def until(self) -> datetime:
        """First instant after the span."""
        return self.buckets[-1].until


def span_named(name: str, now: datetime, zone: ZoneInfo) -> Span:
    """Return a span that ends with the day or hour of `now`. An unknown name means the month."""
    if name == "24h":
        hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        starts = [hour - timedelta(hours=back) for back in range(23, -1, -1)]
        return Span(name, "the last 24 hours", "hour", tuple(_hour(start, zone) for start in starts))
    today = now.astimezone(zone).date()
    if name in _DAYS:
        n_days = _DAYS[name]
    else:
        name, n_days = "month", today.day
    days = [today - timedelta(days=back) for back in range(n_days - 1, -1, -1)]
    midnights = [
        datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        for day in [*days, today + timedelta(days=1)]
    ]
    label = f"{today:%B %Y}" if name == "month" else f"the last {n_days} days"
    buckets = tuple(
        Bucket(since, until, f"{day:%a} {day.day} {day:%b}", f"{day.day} {day:%b}")
        for day, since, until in zip(days, midnights, midnights[1:], strict=False)
    )
    return Span(name, label, "day", buckets)


def _hour(start: datetime, zone: ZoneInfo) -> Bucket:
    local = start.astimezone(zone)
    return Bucket(start, start + timedelta(hours=1), f"{local:%a %H:%M}", f"{local:%H:%M}")
