"""The budgets that an account's people may see."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from serve.dashboard.budgets_view import BudgetLine, budget_lines, visible_scopes
from serve.dashboard.requests_query import read_choices
from serve.money.period import month_of
from serve.storage.budget_repository import BudgetRepository


def read_budgets(engine: Engine, account: str, now: datetime, zone: ZoneInfo) -> list[BudgetLine]:
    """Return this month of every scope of the account's that has a cap or spent something."""
    repository = BudgetRepository(engine)
    rules = repository.rules()
    zones = {rule.scope: rule.time_zone for rule in rules}
    wanted = {(scope, month_of(now, zones[scope]).name) for scope in zones}
    wanted |= {(scope, period) for scope, period in repository.scopes_of(month_of(now, zone).name) if scope not in zones}
    virtual_keys = read_choices(engine, account)["key"]
    visible = set(visible_scopes(account, {scope for scope, _ in wanted}, virtual_keys))
    states = repository.states(sorted(pair for pair in wanted if pair[0] in visible))
    return budget_lines(states, rules)
