"""Budgets as the pages show them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from serve.dashboard.charts.budget_bar import BudgetBar, budget_bar
from serve.money.budget import BudgetRule, BudgetState, Nusd

KINDS = {"account": "Account", "provider_key": "Provider key", "virtual_key": "Virtual key", "hosted": "Hosted credit"}


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One month of a scope.

    Args:
        scope: Name of the scope, such as `virtual_key:ci`.
        kind, name: Two parts of that name, for people.
        period: Name of the month, such as `2026-11`.
        cap_nusd: Budget of the month; None: no limit.
        spent_nusd: Amount that was spent.
        leased_nusd: Amount that workers have leased and not settled yet.
        left_nusd: Amount that is neither spent nor leased; None: no limit.
        bar: Bar that shows how full the budget is; None: no limit.
        is_from_settings: Whether the budget comes back at the next start when it is lifted here.
    """

    scope: str
    kind: str
    name: str
    period: str
    cap_nusd: Nusd | None
    spent_nusd: Nusd
    leased_nusd: Nusd
    left_nusd: Nusd | None
    bar: BudgetBar | None
    is_from_settings: bool


def budget_lines(states: Iterable[BudgetState], rules: Iterable[BudgetRule]) -> list[BudgetLine]:
    """Return the lines: the scopes with a budget, the fullest first; then the others, the most expensive first."""
    from_settings = {rule.scope for rule in rules if rule.is_from_settings}
    lines = [_line(state, state.scope in from_settings) for state in states]
    return sorted(
        lines, key=lambda line: (line.bar is None, -line.bar.share if line.bar else -line.spent_nusd, line.scope)
    )


def _line(state: BudgetState, is_from_settings: bool) -> BudgetLine:
    kind, _, name = state.scope.partition(":")
    cap = state.cap_nusd
    return BudgetLine(
        scope=state.scope,
        kind=KINDS.get(kind, kind),
        name=name,
        period=state.period,
        cap_nusd=cap,
        spent_nusd=state.spent_nusd,
        leased_nusd=state.leased_nusd,
        left_nusd=None if cap is None else max(cap - state.spent_nusd - state.leased_nusd, 0),
        bar=None if cap is None else budget_bar(state.spent_nusd, state.leased_nusd, cap),
        is_from_settings=is_from_settings,
    )
