"""Numbers as text for people. Rounding never turns something into 0, nor nearly all into all. Pure."""

from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

from router.price_table import NUSD_PER_USD
from serve.money.budget import Nusd

UNKNOWN = "–"


def usd_text(nusd: Nusd | None) -> str:
    """Return an amount in a few digits: `$1,234.56`, `$0.1234`, `$0.0000123`; never `$0.00` for more than 0."""
    if nusd is None:
        return UNKNOWN
    if nusd == 0:
        return "$0"
    sign, usd = ("-" if nusd < 0 else ""), Decimal(abs(nusd)) / NUSD_PER_USD
    if usd >= 1:
        return f"{sign}${usd.quantize(Decimal('0.01'), ROUND_HALF_EVEN):,}"
    if usd >= Decimal("0.01"):
        return f"{sign}${usd.quantize(Decimal('0.0001'), ROUND_HALF_EVEN)}"
    return f"{sign}${Context(prec=3).plus(usd):f}"


def exact_usd_text(nusd: Nusd | None) -> str:
    """Return an amount to the nano-dollar: `$0.000012340`."""
    if nusd is None:
        return "unknown"
    dollars, rest = divmod(abs(nusd), NUSD_PER_USD)
    return f"{'-' if nusd < 0 else ''}${dollars:,}.{rest:09d}"


def float_usd_text(usd: float | None) -> str:
    """Return a predicted amount."""
    return UNKNOWN if usd is None else usd_text(round(usd * NUSD_PER_USD))


def amount_text(nusd: Nusd) -> str:
    """Return an amount that a person set, with all digits: `$60`, `$12.50`, `$0.001`."""
    return _whole_digits(Decimal(nusd) / NUSD_PER_USD)


def rate_text(usd_per_mtok: Decimal | None) -> str:
    """Return a price per million tokens, with all digits: `$0.05`, `$15`."""
    return UNKNOWN if usd_per_mtok is None else _whole_digits(usd_per_mtok)


def tick_usd_text(usd: float) -> str:
    """Return a round amount next to an axis: `$0.3`, `$0.00001`."""
    return f"${Decimal(f'{usd:.6g}').normalize():,f}"


def share_text(share: float | None) -> str:
    """Return a share as a percentage; `100%` only for all of it, `0%` only for nothing."""
    if share is None:
        return UNKNOWN
    percent = Decimal(share) * 100
    if 0 < percent < 1:
        return "<1%" if percent < Decimal("0.1") else f"{percent.quantize(Decimal('0.1'), ROUND_CEILING)}%"
    if 99 < percent < 100:
        return f"{percent.quantize(Decimal('0.1'), ROUND_FLOOR)}%"
    return f"{percent.quantize(Decimal(1), ROUND_HALF_EVEN)}%"


def probability_text(probability: float | None) -> str:
    """Return a probability with two digits: `0.87`."""
    return UNKNOWN if probability is None else f"{probability:.2f}"


def ms_text(ms: float | None) -> str:
    """Return a duration: `0.41 ms`, `840 ms`, `1.20 s`, `2 min 5 s`."""
    if ms is None:
        return UNKNOWN
    if ms < 10:
        return f"{ms:.2f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1_000:.2f} s"
    minutes, seconds = divmod(round(ms / 1_000), 60)
    return f"{minutes} min {seconds} s"


def count_text(count: float | None) -> str:
    """Return a number of things: `12,345`."""
    return UNKNOWN if count is None else f"{count:,.0f}"


def token_limit_text(tokens: int | None) -> str:
    """Return a round number of tokens: `128k`, `1M`."""
    if tokens is None:
        return UNKNOWN
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if tokens >= size:
            return f"{tokens / size:.3g}{letter}"
    return str(tokens)


def ago_text(moment: datetime, now: datetime) -> str:
    """Return the time since a moment: `12 s ago`, `3 h ago`, `5 days ago`."""
    passed = max(now - moment, timedelta(0))
    seconds = int(passed.total_seconds())
    for size, name in ((86_400, "day"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            n = seconds // size
            return f"{n} {name}{'s' if name == 'day' and n > 1 else ''} ago"
    return "now"


def age_text(days: int) -> str:
    """Return an age in days: `today`, `1 day`, `12 days`."""
    return "today" if days <= 0 else f"{days} day{'s' if days > 1 else ''}"


def _whole_digits(usd: Decimal) -> str:
    """Return dollars and cents, and more digits if there are any."""
    exact = usd.normalize()
    exponent = exact.as_tuple().exponent
    return f"${exact.quantize(Decimal('0.01')):,}" if exponent == -1 else f"${exact:,f}"
