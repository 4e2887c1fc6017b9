"""`llmdeal budgets`: every budget, what it may spend this month and has spent."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from serve.cli.errors import one_line_errors
from serve.cli.stores import Config, open_stores
from serve.clock import SystemClock

if TYPE_CHECKING:
    from serve.money.budget import BudgetState
    from serve.money.budget_repository import BudgetRepository

_HIGH: Final = 0.8
_FULL: Final = 1.0

budgets = typer.Typer(help="List, set and lift monthly budgets.", invoke_without_command=True, no_args_is_help=False)
Scope = Annotated[
    str, typer.Argument(help="What it limits: account:NAME, provider_key:PROVIDER, virtual_key:NAME or hosted:ACCOUNT.")
]


@budgets.callback()
def list_budgets(context: typer.Context, config: Config = None) -> None:
    """List what every budget may spend this month and has spent, and what was spent without one."""
    if context.invoked_subcommand is None:
        with one_line_errors(), _open_repository(config) as (repository, zone):
            Console().print(_table(repository, zone, SystemClock().now()))


@budgets.command("set")
def set_budget(
    scope: Scope,
    usd: Annotated[str, typer.Argument(help="The most a calendar month may cost, USD.")],
    config: Config = None,
) -> None:
    """Set or change a budget; a running gateway follows within a second."""
    from serve.money.scopes import owner_of
    from serve.money.usd_amount import usd_of_text

    with one_line_errors(), open_stores(config, must_exist=True) as opened:
        amount = usd_of_text(usd)
        opened.desks.budgets.set(owner_of(scope), scope, amount, opened.actor)
        typer.echo(f"{scope} may spend {amount} USD a month.")


@budgets.command("lift")
def lift_budget(scope: Scope, config: Config = None) -> None:
    """Lift a budget; the record of what was spent stays."""
    from serve.money.scopes import owner_of

    with one_line_errors(), open_stores(config, must_exist=True) as opened:
        opened.desks.budgets.lift(owner_of(scope), scope, opened.actor)
        typer.echo(f"{scope} has no budget any more.")


@contextmanager
def _open_repository(config: Config) -> Iterator[tuple["BudgetRepository", ZoneInfo]]:
    from serve.money.budget_repository import BudgetRepository
    from serve.money.configured_budgets import time_zone
    from serve.settings import load_settings
    from serve.storage.database import open_database
    from serve.storage.database_choice import database_url

    settings = load_settings(config, os.environ)
    engine = open_database(database_url(settings.database, os.environ), must_exist=True)
    try:
        yield BudgetRepository(engine), time_zone(settings)
    finally:
        engine.dispose()


def _table(repository: "BudgetRepository", zone: ZoneInfo, now: datetime) -> Table:
    from serve.money.period import month_of

    zones = {rule.scope: rule.time_zone for rule in repository.rules()}
    wanted = {(scope, month_of(now, zones[scope]).name) for scope in zones}
    wanted |= {
        (scope, period) for scope, period in repository.scopes_of(month_of(now, zone).name) if scope not in zones
    }
    month = month_of(now, zone)
    shown = Table("budget", "spent", "of", "left", "", title=f"{month.name}, USD", title_justify="left")
    for column in shown.columns[1:4]:
        column.justify = "right"
    for state in repository.states(sorted(wanted)):
        shown.add_row(state.scope, *_amounts(state))
    shown.caption = f"The next month begins {month.ends_at:%Y-%m-%d %H:%M} UTC."
    return shown


def _amounts(state: "BudgetState") -> tuple[str, str, str, str]:
    if state.cap_nusd is None:
        return _usd(state.spent_nusd), "no limit", "", ""
    share = state.spent_nusd / state.cap_nusd if state.cap_nusd else _FULL
    colour = "red" if share >= _FULL else "yellow" if share >= _HIGH else "green"
    bar = "█" * round(min(share, 1) * 10)
    left = _usd(max(state.cap_nusd - state.spent_nusd, 0))
    return _usd(state.spent_nusd), _usd(state.cap_nusd), left, f"[{colour}]{bar:░<10}[/] {share:.0%}"


def _usd(nusd: int) -> str:
    return f"{Decimal(nusd) / 10**9:,.4f}"
