"""What a budget is: a scope, a cap for each month, and the state of one month."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

Nusd = int
"""Nano-US-dollars, 10^-9 USD: the only unit of the ledger."""
ScopePeriod = tuple[str, str]
"""A scope and one of its months: `("account:default", "2026-11")`."""


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """How much a scope may spend in a calendar month.

    Args:
        scope: Whose money: `account:NAME`, `virtual_key:NAME` or `provider_key:NAME`.
        cap_nusd: The most that a month may cost, at least 0.
        time_zone: Whose months.
        is_from_settings: It follows the settings, and goes when it goes there.
    """

    scope: str
    cap_nusd: Nusd
    time_zone: ZoneInfo
    is_from_settings: bool = False


@dataclass(frozen=True, slots=True)
class BudgetState:
    """One month of a budget.

    Args:
        scope: Whose.
        period: `2026-11`.
        cap_nusd: The most it may cost; None: no limit was set, spending is only counted.
        spent_nusd: Settled.
        leased_nusd: Handed out to workers and not settled yet; counts against the cap.
    """

    scope: str
    period: str
    cap_nusd: Nusd | None
    spent_nusd: Nusd
    leased_nusd: Nusd


@dataclass(frozen=True, slots=True)
class Charge:
    """One attempt's cost, to be written down once.

    Args:
        charge_id: Unique: the request's id and the attempt's number. A second charge of the same id changes nothing.
        amount_nusd: What it cost, at least 0.
        periods: Every scope that pays -> the month in which the attempt was admitted.
        at_us: When it was settled, microseconds since 1970 UTC.
        is_estimated: Nobody said what it cost: what had come so far was charged, or what was held.
        lane_id: Who answered.
        price_snapshot_id: The prices it was worked out with, so that a bill can be recomputed.
    """

    charge_id: str
    amount_nusd: Nusd
    periods: tuple[ScopePeriod, ...]
    at_us: int
    is_estimated: bool
    lane_id: str
    price_snapshot_id: str
