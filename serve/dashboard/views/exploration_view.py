"""What exploration did in this month, as the router's page shows it."""

from dataclasses import dataclass

from serve.money.budget import Nusd
from serve.routing.exploration.explorer import Explorer


@dataclass(frozen=True, slots=True)
class ExplorationView:
    """This month, over all workers, as of a second ago: the share that may explore, how many did, what that gave up, and what it may."""

    share: float
    n_explored: int
    spent_nusd: Nusd
    ceiling_nusd: Nusd


def exploration_view(explorer: Explorer | None) -> ExplorationView | None:
    """Return what is shown; None: exploration is off, or was not looked at yet."""
    if explorer is None or explorer.purse.month is None:
        return None
    month = explorer.purse.month
    return ExplorationView(explorer.terms.share, month.n_explored, month.spent_nusd, explorer.purse.ceiling_nusd)
