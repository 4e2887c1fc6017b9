"""`llmdeal accounts`: accounts and their people."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from serve.cli.errors import one_line_errors
from serve.cli.stores import Config, open_stores
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

accounts = typer.Typer(
    help="Open accounts, and say who may do what in them.", invoke_without_command=True, no_args_is_help=False
)
Name = Annotated[str, typer.Argument(help="The account's short name.")]
Email = Annotated[str, typer.Argument(help="Of the person.")]
RoleWord = Annotated[str, typer.Option(help="viewer, admin or owner.")]


@accounts.callback()
def list_accounts(context: typer.Context, config: Config = None) -> None:
    """List accounts and their members."""
    if context.invoked_subcommand is None:
        with one_line_errors():
            stores = open_stores(config).stores
            shown = Table("account", "title", "time zone", "hosted lanes", "logged at most", "members")
            for account in stores.accounts.all():
                members = ", ".join(
                    f"{member.email} ({member.role.word})" for member in stores.accounts.members(account.account)
                )
                title = account.title if account.is_enabled else f"{account.title} [red](closed)[/]"
                shown.add_row(
                    account.account,
                    title,
                    account.time_zone,
                    account.hosted_lanes,
                    account.logged_content or "",
                    members,
                )
            Console().print(shown)


@accounts.command("open")
def open_account(
    account: Name,
    title: Annotated[str, typer.Option(help="What people call it.")] = "",
    time_zone: Annotated[str, typer.Option(help="Whose months its budgets follow: Europe/Berlin.")] = "UTC",
    hosted_lanes: Annotated[
        str, typer.Option(help="When your hosted lanes answer for it: never, when_spent, always.")
    ] = "when_spent",
    config: Config = None,
) -> None:
    """Open an account."""
    from typing import cast

    from serve.errors import ConfigurationError
    from serve.identity.names import checked_name, checked_zone
    from serve.identity.rows import Account, HostedLanes

    with one_line_errors():
        if hosted_lanes not in ("never", "when_spent", "always"):
            raise ConfigurationError(f"--hosted-lanes: {hosted_lanes!r} is none of never, when_spent, always")
        opened = open_stores(config)
        name = checked_name(account, "account")
        when = cast("HostedLanes", hosted_lanes)
        fresh = Account(name, title or name, checked_zone(time_zone), when, True, opened.stores.audit.now())
        opened.stores.accounts.add(fresh, opened.actor.name)
        typer.echo(f"Opened the account {name}.")


@accounts.command("add")
def add_member(account: Name, email: Email, role: RoleWord = "viewer", config: Config = None) -> None:
    """Give a person a role in an account; asks for a first password where they are new."""
    from serve.errors import ConfigurationError
    from serve.identity.names import checked_email
    from serve.identity.roles import role_of

    with one_line_errors():
        try:
            wanted = role_of(role)
        except KeyError:
            raise ConfigurationError(f"--role: {role!r} is none of viewer, admin, owner") from None
        opened = open_stores(config)
        opened.check_account(account)
        address = checked_email(email)
        if not opened.stores.people.exists(address):
            password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
            opened.stores.sign_in.add_person(account, address, password, opened.actor.name)
        opened.stores.accounts.set_member(account, address, wanted, opened.actor.name)
        typer.echo(f"{address} is {wanted.word} of {account} now.")


@accounts.command("remove")
def remove_member(account: Name, email: Email, config: Config = None) -> None:
    """Take a person out of an account."""
    with one_line_errors():
        opened = open_stores(config)
        opened.stores.accounts.remove_member(account, email.strip().lower(), opened.actor.name)
        typer.echo(f"{email} is not in {account} any more.")


@accounts.command("password")
def set_password(email: Email, config: Config = None) -> None:
    """Set a person's password anew; their sessions end."""
    with one_line_errors():
        opened = open_stores(config)
        password = typer.prompt("New password", hide_input=True, confirmation_prompt=True)
        opened.stores.sign_in.set_password(DEFAULT_ACCOUNT, email, password, opened.actor.name)
        typer.echo(f"{email} signs in with the new password from now on.")


@accounts.command("close")
def close_account(account: Name, config: Config = None) -> None:
    """Refuse an account's keys from now on; what it did stays written down. `llmdeal vault shred` destroys its provider keys."""
    from serve.errors import ConfigurationError

    with one_line_errors():
        if account == DEFAULT_ACCOUNT:
            raise ConfigurationError("the account that runs the gateway cannot be closed")
        opened = open_stores(config)
        opened.stores.accounts.change(account, opened.actor.name, is_enabled=False)
        typer.echo(f"Closed the account {account}.")


@accounts.command("content")
def limit_content(
    account: Name,
    level: Annotated[
        str, typer.Argument(help="none, features (numbers only), full (the texts too), or gateway: as much as it logs.")
    ],
    config: Config = None,
) -> None:
    """Say what of an account's requests may be logged and exported at most; never more than the gateway logs."""
    from serve.errors import ConfigurationError
    from serve.settings import CONTENT_LEVELS

    with one_line_errors():
        if level not in (*CONTENT_LEVELS, "gateway"):
            raise ConfigurationError(f"the level {level!r} is none of {', '.join(CONTENT_LEVELS)}, gateway")
        opened = open_stores(config)
        opened.stores.accounts.change(account, opened.actor.name, logged_content=None if level == "gateway" else level)
        wish = "as much as the gateway logs" if level == "gateway" else f"{level} at most"
        typer.echo(f"Of the account {account}, {wish} is logged and exported from now on.")


@accounts.command("forget")
def forget_account(
    account: Name,
    all_rows: Annotated[bool, typer.Option("--all", help="Delete the rows too, not their contents alone.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
) -> None:
    """Delete what was logged of an account: prompts, answers, features, comments. What it spent stays in the ledger."""
    from serve.telemetry.erasure import TelemetryErasure

    with one_line_errors():
        opened = open_stores(config)
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
