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
        scope: Scope that pays: `account:NAME`, `virtual_key:NAME` or `provider_key:NAME`.
        cap_nusd: Most that a month may cost, at least 0.
        time_zone: Time zone of the months.
        is_from_settings: Whether it comes from the settings; it is removed when the settings no longer have it.
    """

    scope: str
    cap_nusd: Nusd
    time_zone: ZoneInfo
    is_from_settings: bool = False


@dataclass(frozen=True, slots=True)
class BudgetState:
    """One month of a budget.

    Args:
        scope: Scope of the budget.
        period: Month, such as `2026-11`.
        cap_nusd: Most that the month may cost; None: no limit was set, spending is only counted.
        spent_nusd: Amount that was settled.
        leased_nusd: Amount that was leased to workers and not settled yet; it counts against the cap.
    """

    scope: str
    period: str
    cap_nusd: Nusd | None
    spent_nusd: Nusd
    leased_nusd: Nusd


@dataclass(frozen=True, slots=True)
class Charge:
    """One attempt's cost, to be written into the ledger once.

    Args:
        charge_id: Unique id: the request's id and the attempt's number. A second charge of the same id changes nothing.
        amount_nusd: Cost, at least 0.
        periods: Every scope that pays, with the month in which the attempt was admitted.
        at_us: Time of settling, microseconds since 1970 UTC.
        is_estimated: Whether the provider did not say what it used. Then the part that had come was charged, or the
            whole hold.
        lane_id: Lane that answered.
        price_snapshot_id: Id of the prices that were used, so that a bill can be recomputed.
    """

    charge_id: str
    amount_nusd: Nusd
    periods: tuple[ScopePeriod, ...]
    at_us: int
    is_estimated: bool
    lane_id: str
    price_snapshot_id: str
