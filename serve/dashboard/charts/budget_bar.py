"""A budget's bar: how much of it is gone, with marks at half, four fifths and all of it. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

SIZE: Final = 1_000
MARKS: Final = (500, 800, 1_000)
Level = Literal["calm", "half", "high", "spent"]


@dataclass(frozen=True, slots=True)
class BudgetBar:
    """The bar, in per mille of its length.

    Args:
        spent: Settled; at least a sliver where anything was.
        leased: Handed out to workers and not settled, after `spent`.
        share: Spent of the cap, 0 and more.
        level: How near the end it is.
    """

    spent: float
    leased: float
    share: float
    level: Level


def budget_bar(spent_nusd: int, leased_nusd: int, cap_nusd: int) -> BudgetBar:
    """Return the bar of a budget; a cap of nothing is spent from the beginning."""
    share = spent_nusd / cap_nusd if cap_nusd else 1.0
    spent = min(max(share * SIZE, 4.0 if spent_nusd else 0.0), SIZE)
    leased = min(leased_nusd / cap_nusd * SIZE if cap_nusd else 0.0, SIZE - spent)
    level: Level = "spent" if share >= 1 else "high" if share >= 0.8 else "half" if share >= 0.5 else "calm"
    return BudgetBar(round(spent, 1), round(leased, 1), share, level)
