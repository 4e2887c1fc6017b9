"""The budgets that an account's people may see."""

from serve.dashboard.views.budgets_view import BudgetLine, budget_lines
from serve.gateway import ResourceSet
from serve.http.admin.common import account_budgets


def read_budgets(resources: ResourceSet, account: str) -> list[BudgetLine]:
    """Return this month of every scope of the account's that has a cap or spent something."""
    return budget_lines(account_budgets(resources).states(account), resources.budgets.repository.rules())
