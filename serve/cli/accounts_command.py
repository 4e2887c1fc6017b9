"""`llmdeal accounts`: accounts and their members."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from serve.cli.errors import one_line_errors
from serve.cli.stores import Config, open_stores
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

accounts = typer.Typer(
    help="Open accounts, and set what their members may do.", invoke_without_command=True, no_args_is_help=False
)
Name = Annotated[str, typer.Argument(help="The account's short name.")]
Email = Annotated[str, typer.Argument(help="E-mail address of the person.")]
RoleWord = Annotated[str, typer.Option(help="viewer, admin or owner.")]


@accounts.callback()
def list_accounts(context: typer.Context, config: Config = None) -> None:
    """List accounts and their members."""
    if context.invoked_subcommand is None:
        with one_line_errors(), open_stores(config) as opened:
            stored = opened.stores.accounts
            table = Table("account", "title", "time zone", "hosted lanes", "logged at most", "members")
            for account in stored.all():
                members = stored.members(account.account)
                table.add_row(
                    account.account,
                    account.title if account.is_enabled else f"{account.title} [red](closed)[/]",
                    account.time_zone,
                    account.hosted_lanes,
                    account.logged_content or "",
                    ", ".join(f"{member.email} ({member.role.word})" for member in members),
                )
            Console().print(table)


@accounts.command("open")
def open_account(
    account: Name,
    title: Annotated[str, typer.Option(help="Name that people call it.")] = "",
    time_zone: Annotated[str, typer.Option(help="Time zone whose months its budgets follow: Europe/Berlin.")] = "UTC",
    hosted_lanes: Annotated[
        str, typer.Option(help="When your hosted lanes answer for it: never, when_spent, always.")
    ] = "when_spent",
    config: Config = None,
) -> None:
    """Open an account."""
    from typing import cast, get_args

    from serve.errors import ConfigurationError
    from serve.identity.rows import HostedLanes

    with one_line_errors():
        if hosted_lanes not in get_args(HostedLanes):
            raise ConfigurationError(f"--hosted-lanes: {hosted_lanes!r} is none of {', '.join(get_args(HostedLanes))}")
        with open_stores(config) as opened:
            answers = cast("HostedLanes", hosted_lanes)
            opened.desks.accounts.open(account, opened.actor, title=title, time_zone=time_zone, hosted_lanes=answers)
            typer.echo(f"Opened the account {account}.")


@accounts.command("add")
def add_member(account: Name, email: Email, role: RoleWord = "viewer", config: Config = None) -> None:
    """Give a person a role in an account; asks for a first password if the person is new."""
    from serve.identity.account_desk import Membership
    from serve.identity.names import checked_email
    from serve.identity.roles import role_of

    with one_line_errors(), open_stores(config) as opened:
        new_role = role_of(role)
        opened.check_account(account)
        password = None
        if not opened.stores.people.exists(checked_email(email)):
            password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        address = opened.desks.accounts.set_member(account, Membership(email, new_role, password), opened.actor)
        typer.echo(f"{address} is {new_role.word} of {account} now.")


@accounts.command("remove")
def remove_member(account: Name, email: Email, config: Config = None) -> None:
    """Take a person out of an account."""
    with one_line_errors(), open_stores(config) as opened:
        address = opened.desks.accounts.remove_member(account, email, opened.actor)
        typer.echo(f"{address} is no longer in {account}.")


@accounts.command("password")
def set_password(email: Email, config: Config = None) -> None:
    """Set a new password for a person; the person's sessions end."""
    with one_line_errors(), open_stores(config) as opened:
        password = typer.prompt("New password", hide_input=True, confirmation_prompt=True)
        opened.stores.sign_in.set_password(DEFAULT_ACCOUNT, email, password, opened.actor.name)
        typer.echo(f"{email} signs in with the new password from now on.")


@accounts.command("close")
def close_account(account: Name, config: Config = None) -> None:
    """Refuse an account's keys from now on; its records stay.

    `llmdeal vault shred` also destroys its stored provider keys.
    """
    with one_line_errors(), open_stores(config) as opened:
        opened.desks.accounts.change(account, opened.actor, is_enabled=False)
        typer.echo(f"Closed the account {account}.")


@accounts.command("content")
def limit_content(
    account: Name,
    level: Annotated[
        str, typer.Argument(help="none, features (numbers only), full (the texts too), or gateway: as much as it logs.")
    ],
    config: Config = None,
) -> None:
    """Limit how much of an account's requests is logged and exported; never more than the gateway logs."""
    from serve.errors import ConfigurationError
    from serve.settings import CONTENT_LEVELS

    with one_line_errors():
        if level not in (*CONTENT_LEVELS, "gateway"):
            raise ConfigurationError(f"the level {level!r} is none of {', '.join(CONTENT_LEVELS)}, gateway")
        with open_stores(config) as opened:
            limit = None if level == "gateway" else level
            opened.desks.accounts.change(account, opened.actor, logged_content=limit)
            amount = "as much as the gateway logs" if limit is None else f"{limit} at most"
            typer.echo(f"Of the account {account}, {amount} is logged and exported from now on.")


@accounts.command("forget")
def forget_account(
    account: Name,
    all_rows: Annotated[bool, typer.Option("--all", help="Delete the rows too, not their contents alone.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
) -> None:
    """Delete what was logged of an account: prompts, answers, features, comments. The ledger keeps what it spent."""
    from serve.telemetry.erasure import TelemetryErasure

    with one_line_errors(), open_stores(config) as opened:
        opened.check_account(account)
        what = "all rows of requests and feedback" if all_rows else "all prompts, answers, features and comments"
        if not yes:
            typer.confirm(f"Delete {what} of the account {account}, for good?", abort=True)
        audit = opened.stores.audit
        erased = TelemetryErasure(audit.reading, audit).forget(account, opened.actor.name, has_rows=all_rows)
        typer.echo(
            f"Deleted {what} of {erased.n_attempts:,} attempts until {erased.until:%Y-%m-%d %H:%M:%S} UTC. "
            "Exports written from now on tell their readers to pass them over in older ones too."
        )
