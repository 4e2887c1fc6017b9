"""`llmdeal keys`: virtual keys that are stored."""

from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from serve.cli.errors import one_line_errors
from serve.cli.stores import AccountOption, Config, open_stores
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

keys = typer.Typer(help="Issue, rotate and revoke virtual keys.", invoke_without_command=True, no_args_is_help=False)
Name = Annotated[str, typer.Argument(help="The key's name.")]


@keys.callback()
def list_keys(context: typer.Context, account: AccountOption = DEFAULT_ACCOUNT, config: Config = None) -> None:
    """List an account's stored virtual keys; those of the settings are in the settings."""
    if context.invoked_subcommand is None:
        with one_line_errors():
            opened = open_stores(config)
            opened.check_account(account)
            shown = Table("name", "key", "scopes", "lanes", "a minute", "expires", "last used")
            shown.columns[1].no_wrap = True
            for key in opened.stores.issued_keys.repository.of_account(account):
                limits = (
                    f"{key.requests_per_minute} requests" if key.requests_per_minute else "",
                    f"{key.tokens_per_minute} tokens" if key.tokens_per_minute else "",
                )
                last = "revoked" if key.revoked_at else _day(key.last_used_at)
                lanes = ", ".join(key.lanes) or "all"
                shown.add_row(
                    key.name,
                    key.shown,
                    ", ".join(key.scopes),
                    lanes,
                    ", ".join(filter(None, limits)),
                    _day(key.expires_at),
                    last,
                )
            Console().print(shown)


@keys.command("issue")
def issue(
    name: Name,
    account: AccountOption = DEFAULT_ACCOUNT,
    scope: Annotated[list[str] | None, typer.Option(help="inference, read, admin or owner; may be repeated.")] = None,
    lane: Annotated[list[str] | None, typer.Option(help="Pattern of lanes that it may use; may be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Put on each request; may be repeated.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(help="At most so many.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(help="At most so many, prompt and answer together.")] = None,
    days: Annotated[int | None, typer.Option(help="Expires after so many days.")] = None,
    monthly_usd: Annotated[str | None, typer.Option(help="Its monthly budget, USD.")] = None,
    config: Config = None,
) -> None:
    """Issue a virtual key and print it, this once."""
    from decimal import Decimal, InvalidOperation

    from serve.errors import ConfigurationError
    from serve.identity.issued_keys import KeyTerms
    from serve.money.scopes import virtual_key_scope

    with one_line_errors():
        opened = open_stores(config)
        opened.check_account(account)
        try:
            budget = None if monthly_usd is None else Decimal(monthly_usd)
        except InvalidOperation:
            raise ConfigurationError(f"--monthly-usd: {monthly_usd!r} is no amount: write 60 or 12.50") from None
        expires_at = None if days is None else opened.stores.audit.now() + timedelta(days=days)
        terms = KeyTerms(
            tuple(scope or ("inference",)),
            tuple(lane or ()),
            tuple(tag or ()),
            requests_per_minute,
            tokens_per_minute,
            expires_at,
        )
        issued = opened.stores.issued_keys.issue(account, name, terms, opened.actor.name)
        if budget is not None:
            opened.budgets.set(account, virtual_key_scope(issued.key.virtual_key_id), budget, opened.actor)
        typer.echo(issued.secret)


@keys.command("rotate")
def rotate(
    name: Name,
    account: AccountOption = DEFAULT_ACCOUNT,
    overlap_hours: Annotated[float, typer.Option(min=0, help="How long the old secret stays good.")] = 24,
    config: Config = None,
) -> None:
    """Issue a new secret for a key and print it, this once."""
    with one_line_errors():
        opened = open_stores(config)
        typer.echo(
            opened.stores.issued_keys.rotate(account, name, timedelta(hours=overlap_hours), opened.actor.name).secret
        )


@keys.command("revoke")
def revoke(name: Name, account: AccountOption = DEFAULT_ACCOUNT, config: Config = None) -> None:
    """Refuse a key; a running gateway follows within a second."""
    with one_line_errors():
        opened = open_stores(config)
        opened.stores.issued_keys.repository.revoke(account, name, opened.actor.name)
        typer.echo(f"Revoked {name}.")


def _day(instant: datetime | None) -> str:
    return "" if instant is None else f"{instant:%Y-%m-%d %H:%M}"
