"""The bar of a budget: the part that is spent, with marks at 50, 80 and 100%. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

SIZE: Final = 1_000
MARKS: Final = (500, 800, 1_000)
Level = Literal["calm", "half", "high", "spent"]


@dataclass(frozen=True, slots=True)
class BudgetBar:
    """The bar, in per mille of its length.

    Args:
        spent: Length of the spent part; at least a sliver if anything was spent.
        leased: Length of the part that is leased to workers and not settled, after `spent`.
        share: Spent part of the cap, 0 and more.
        level: Distance from the end, in a word.
    """

    spent: float
    leased: float
    share: float
    level: Level


def budget_bar(spent_nusd: int, leased_nusd: int, cap_nusd: int) -> BudgetBar:
    """Return the bar of a budget. A cap of 0 is spent from the beginning."""
    share = spent_nusd / cap_nusd if cap_nusd else 1.0
    spent = min(max(share * SIZE, 4.0 if spent_nusd else 0.0), SIZE)
    leased = min(leased_nusd / cap_nusd * SIZE if cap_nusd else 0.0, SIZE - spent)
    level: Level = "spent" if share >= 1 else "high" if share >= 0.8 else "half" if share >= 0.5 else "calm"
    return BudgetBar(round(spent, 1), round(leased, 1), share, level)
