"""`llmdeal exploration`: the expected cost of trying other lanes this month, and its ceiling."""

import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from serve.cli.errors import one_line_errors


def exploration(
    config: Annotated[Path | None, typer.Option(help="Settings file, for the database and the ceiling.")] = None,
) -> None:
    """Show how many requests tried a lane that is not the best one this month, and at what price."""
    from serve.clock import SystemClock
    from serve.money.configured_budgets import time_zone
    from serve.money.period import month_of
    from serve.routing.exploration.configured_exploration import ceiling_nusd
    from serve.routing.exploration.repository import ExplorationRepository
    from serve.settings import ExplorationSettings, load_settings
    from serve.storage.database import open_database
    from serve.storage.database_choice import database_url

    with one_line_errors():
        settings = load_settings(config, os.environ)
        wanted = settings.exploration or ExplorationSettings()
        engine = open_database(database_url(settings.database, os.environ), must_exist=True)
        try:
            month = ExplorationRepository(engine).month(month_of(SystemClock().now(), time_zone(settings)).name)
        finally:
            engine.dispose()
        held = max(month.taken_nusd - month.spent_nusd, 0)
        typer.echo(
            f"{month.period}: {month.n_explored:,} requests explored, expected to give up {_usd(month.spent_nusd)} USD."
        )
        if held:
            typer.echo(f"{_usd(held)} USD are leased by workers, or were when those workers were killed.")
        if wanted.share:
            typer.echo(f"The ceiling is {_usd(ceiling_nusd(wanted))} USD; {wanted.share:.1%} of requests may explore.")
        else:
            typer.echo("Exploration is off: set share and monthly_ceiling_usd in [exploration].")


def _usd(nusd: int) -> str:
    return f"{Decimal(nusd) / 10**9:,.6f}"
