"""Budgets as pages show them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from serve.dashboard.charts.budget_bar import BudgetBar, budget_bar
from serve.money.budget import BudgetRule, BudgetState, Nusd

KINDS = {"account": "Account", "provider_key": "Provider key", "virtual_key": "Virtual key", "hosted": "Hosted credit"}


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One scope's month.

    Args:
        scope: `virtual_key:ci`.
        kind, name: Its two parts, for people.
        left_nusd: Neither spent nor handed out; None: no limit.
        bar: None: no limit.
        is_from_settings: It comes back at the next start when it is lifted here.
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
    """Return the lines: what has a cap first, the fullest first, then what has none, the dearest first."""
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
