"""The budget of one run of a command that asks models: the most that a call may cost is set aside before it is sent."""

from dataclasses import dataclass
from decimal import Decimal


class BudgetReachedError(Exception):
    """The next call could cost more than the budget has left."""


@dataclass(slots=True)
class RunBudget:
    """The budget of one run. For one event loop.

    Args:
        budget_usd: Budget of the whole run.
        spent_usd: Sum spent so far; a call of unknown cost counts with the most that it may have cost.
        held_usd: Sum set aside for calls that are on their way.
    """

    budget_usd: Decimal
    spent_usd: Decimal = Decimal(0)
    held_usd: Decimal = Decimal(0)

    def has_room(self, most_usd: Decimal) -> bool:
        """Return whether a call may be sent now."""
        return self.spent_usd + self.held_usd + most_usd <= self.budget_usd

    def can_ever_have_room(self, most_usd: Decimal) -> bool:
        """Return whether a call may be sent now or when all calls on their way turn out to cost nothing."""
        return self.spent_usd + most_usd <= self.budget_usd

    def hold(self, most_usd: Decimal) -> None:
        """Set an amount aside.

        Raises:
            BudgetReachedError: The budget has less left.
        """
        if not self.has_room(most_usd):
            raise BudgetReachedError
        self.held_usd += most_usd

    def settle(self, most_usd: Decimal, cost_usd: Decimal | None) -> None:
        """Give back the held sum, and count what the call cost."""
        self.held_usd -= most_usd
        self.spent_usd += most_usd if cost_usd is None else cost_usd
