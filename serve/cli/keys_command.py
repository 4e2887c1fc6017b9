"""`llmdeal keys`: the virtual keys that are stored."""

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
    """List an account's stored virtual keys; the keys of the settings are in the settings."""
    if context.invoked_subcommand is None:
        with one_line_errors(), open_stores(config) as opened:
            opened.check_account(account)
            table = Table("name", "key", "scopes", "lanes", "a minute", "expires", "last used")
            table.columns[1].no_wrap = True
            for key in opened.stores.virtual_keys.of_account(account):
                limits = (
                    f"{key.requests_per_minute} requests" if key.requests_per_minute else "",
                    f"{key.tokens_per_minute} tokens" if key.tokens_per_minute else "",
                )
                table.add_row(
                    key.name,
                    key.shown,
                    ", ".join(key.scopes),
                    ", ".join(key.lanes) or "all",
                    ", ".join(filter(None, limits)),
                    _minute(key.expires_at),
                    "revoked" if key.revoked_at else _minute(key.last_used_at),
                )
            Console().print(table)


@keys.command("issue")
def issue(
    name: Name,
    account: AccountOption = DEFAULT_ACCOUNT,
    scope: Annotated[list[str] | None, typer.Option(help="inference, read, admin or owner; may be repeated.")] = None,
    lane: Annotated[list[str] | None, typer.Option(help="Pattern of lanes that it may use; may be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Put on each request; may be repeated.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(help="Most requests a minute.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(help="Most tokens a minute, prompt and answer.")] = None,
    days: Annotated[int | None, typer.Option(help="Days after which it expires.")] = None,
    monthly_usd: Annotated[str | None, typer.Option(help="Its monthly budget, USD.")] = None,
    config: Config = None,
) -> None:
    """Issue a virtual key and print it, this once."""
    from serve.identity.virtual_key_desk import KeyTerms
    from serve.money.usd_amount import usd_of_text

    with one_line_errors(), open_stores(config) as opened:
        terms = KeyTerms(
            scopes=tuple(scope or ("inference",)),
            lanes=tuple(lane or ()),
            tags=tuple(tag or ()),
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            expires_at=None if days is None else opened.stores.audit.now() + timedelta(days=days),
        )
        budget_usd = None if monthly_usd is None else usd_of_text(monthly_usd)
        issued = opened.desks.virtual_keys.issue(account, name, terms, opened.actor, budget_usd=budget_usd)
        typer.echo(issued.secret)


@keys.command("rotate")
def rotate(
    name: Name,
    account: AccountOption = DEFAULT_ACCOUNT,
    overlap_hours: Annotated[float, typer.Option(min=0, help="Hours for which the old secret stays good.")] = 24,
    config: Config = None,
) -> None:
    """Issue a new secret for a key and print it, this once."""
    with one_line_errors(), open_stores(config) as opened:
        overlap = timedelta(hours=overlap_hours)
        typer.echo(opened.desks.virtual_keys.rotate(account, name, overlap, opened.actor).secret)


@keys.command("revoke")
def revoke(name: Name, account: AccountOption = DEFAULT_ACCOUNT, config: Config = None) -> None:
    """Refuse a key; a running gateway follows within a second."""
    with one_line_errors(), open_stores(config) as opened:
        opened.desks.virtual_keys.revoke(account, name, opened.actor)
        typer.echo(f"Revoked {name}.")


def _minute(instant: datetime | None) -> str:
    return "" if instant is None else f"{instant:%Y-%m-%d %H:%M}"
