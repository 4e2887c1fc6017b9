"""What is reserved for one attempt, and why it may not be."""

from dataclasses import dataclass
from datetime import datetime

from serve.money.budget import Nusd, ScopePeriod


class NotHeld(Exception):  # noqa: N818 - reads as what happened
    """An attempt may not be sent, for one of its budgets does not stand for it; never raised itself.

    Args:
        scope: Of which budget.
    """

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope


class BudgetSpent(NotHeld):
    """A budget has not enough left for an attempt.

    Args:
        scope: Which.
        resets_at: When its next month begins.
    """

    def __init__(self, scope: str, resets_at: datetime) -> None:
        super().__init__(scope)
        self.resets_at = resets_at


class BudgetAway(NotHeld):
    """What is left of a budget cannot be known or written down now: its database, or the journal's disk, does not answer."""


@dataclass(slots=True, eq=False)
class Hold:
    """What is reserved for one attempt.

    Args:
        charge_id: The request's id and the attempt's number.
        amount_nusd: The most that it is expected to cost.
        limited: The budgets that it is held in.
        periods: Every scope that pays, limited or not -> its month.
        lane_id, price_snapshot_id: For the ledger.
        at_cost: What the operator's own key is held for beside it, where the lane is hosted: that costs what the provider asks.
    """

    charge_id: str
    amount_nusd: Nusd
    limited: tuple[ScopePeriod, ...]
    periods: tuple[ScopePeriod, ...]
    lane_id: str
    price_snapshot_id: str
    at_cost: "Hold | None" = None
    is_ended: bool = False
