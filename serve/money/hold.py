"""The amount that is reserved for one attempt, and the errors when it cannot be."""

from dataclasses import dataclass
from datetime import datetime

from serve.money.budget import Nusd, ScopePeriod


class NotHeld(Exception):  # noqa: N818 - reads as what happened
    """An attempt may not be sent, because nothing can be reserved in one of its budgets. Only subclasses are raised.

    Args:
        scope: Scope of the budget.
    """

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope


class BudgetSpent(NotHeld):
    """A budget has not enough left for an attempt.

    Args:
        scope: Scope of the budget.
        resets_at: Beginning of its next month.
    """

    def __init__(self, scope: str, resets_at: datetime) -> None:
        super().__init__(scope)
        self.resets_at = resets_at


class BudgetAway(NotHeld):
    """What is left of a budget cannot be read or written now: its database, or the journal's disk, does not answer."""


@dataclass(slots=True, eq=False)
class Hold:
    """The amount that is reserved for one attempt.

    Args:
        charge_id: Id of the request and number of the attempt.
        amount_nusd: Most that the attempt is expected to cost.
        limited: Budgets in which the amount is held.
        periods: Every scope that pays, limited or not, with its month.
        lane_id, price_snapshot_id: Lane and prices, for the ledger.
        service_tier: Service tier that the request asks for; None: it asks for none.
        at_cost: Second hold on the operator's provider key, at the provider's price, if the lane is hosted; else None.
        is_ended: Whether it was settled.
    """

    charge_id: str
    amount_nusd: Nusd
    limited: tuple[ScopePeriod, ...]
    periods: tuple[ScopePeriod, ...]
    lane_id: str
    price_snapshot_id: str
    service_tier: str | None = None
    at_cost: "Hold | None" = None
    is_ended: bool = False
