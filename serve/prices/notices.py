"""What the operator should know about the prices in use: old ones, and tables that wait for confirmation."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from router.price_table import Price
from serve.prices.table_file import TableFile

STALE_AFTER_DAYS: Final = 14
"""Age of prices, in days, above which the operator is warned."""


def stale_notices(prices: Iterable[Price], today: date, *, has_sources: bool) -> list[str]:
    """Return one notice for each source whose prices are too old, the oldest first.

    Args:
        prices: Prices in use. Those without a date are the operator's own and never old.
        today: Present day.
        has_sources: Whether the settings allow a source of newer prices.
    """
    counts: dict[tuple[int, str], int] = {}
    for price in prices:
        age = price.age_days(today)
        if age is not None and age > STALE_AFTER_DAYS:
            counts[age, price.source] = counts.get((age, price.source), 0) + 1
    mend = (
        "llmdeal prices refresh asks the allowed sources now."
        if has_sources
        else 'Allow newer ones: sources = ["published"] under [prices] in llmdeal.toml.'
    )
    return [
        f"Prices of {n} lane{'s' if n > 1 else ''} are {age} days old ({source}). {mend}"
        for (age, source), n in sorted(counts.items(), reverse=True)
    ]


def quarantine_notices(files: Sequence[TableFile]) -> list[str]:
    """Return one notice for each table that waits for confirmation."""
    return [
        f"New prices from {file.origin} are not used yet: {'; '.join(file.problems)}. "
        f"See them with llmdeal prices diff {file.name}, use them with llmdeal prices confirm {file.name}."
        for file in files
    ]
