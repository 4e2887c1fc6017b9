"""`llmdeal usage`: requests, tokens and money, by day, lane, model, provider or virtual key."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from serve.cli.errors import one_line_errors
from serve.cli.stores import AccountOption, Config, open_stores
from serve.identity.virtual_keys import DEFAULT_ACCOUNT


def usage(
    by: Annotated[str, typer.Option(help="day, lane, model, provider or virtual_key.")] = "day",
    days: Annotated[int, typer.Option(min=1, help="How far back; days are UTC.")] = 30,
    account: AccountOption = DEFAULT_ACCOUNT,
    config: Config = None,
) -> None:
    """Show what was used: requests, tokens and money."""
    from serve.errors import ConfigurationError
    from serve.telemetry.usage_repository import USAGE_GROUPS, UsageRepository

    with one_line_errors():
        if by not in USAGE_GROUPS:
            raise ConfigurationError(f"--by: {by!r} is none of {', '.join(USAGE_GROUPS)}")
        with open_stores(config) as opened:
            opened.check_account(account)
            audit = opened.stores.audit
            until = audit.now()
            rows = UsageRepository(audit.reading).usage(account, by, until - timedelta(days=days), until)
    shown = Table(
        by.replace("_", " "), "requests", "attempts", "failed", "tokens in", "out", "USD", show_footer=bool(rows)
    )
    for column in shown.columns[1:]:
        column.justify = "right"
    for row in rows:
        counts = (row.n_requests, row.n_attempts, row.n_failed, row.prompt_tokens, row.completion_tokens)
        shown.add_row(row.key, *(f"{count:,}" for count in counts), _usd(row.cost_nusd))
    if rows:
        shown.columns[0].footer = "all attempts"
        shown.columns[2].footer = f"{sum(row.n_attempts for row in rows):,}"
        shown.columns[6].footer = _usd(sum(row.cost_nusd for row in rows))
    Console().print(shown)


def _usd(nusd: int) -> str:
    return f"{Decimal(nusd) / 10**9:,.6f}"
