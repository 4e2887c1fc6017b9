"""The budgets that the members of an account may see."""

from serve.dashboard.views.budgets_view import BudgetLine, budget_lines
from serve.gateway import ResourceSet


def read_budgets(resources: ResourceSet, account: str) -> list[BudgetLine]:
    """Return the current month of every scope of the account that has a budget or spent money."""
    return budget_lines(resources.desks.budgets.states(account), resources.budgets.repository.rules())
