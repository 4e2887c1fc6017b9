"""`llmdeal vault`: the master key, and what it wraps."""

from typing import Annotated

import typer

from serve.cli.errors import one_line_errors
from serve.cli.stores import Config, open_stores

vault = typer.Typer(help="Make and replace the master key; destroy an account's stored secrets.", no_args_is_help=True)


@vault.command("new-master-key")
def new_master_key() -> None:
    """Make a master key and print it.

    It is stored nowhere: give it as LLMDEAL_MASTER_KEY, or in a file that master_key_file names.
    """
    from serve.vault.master_key import new_master_key as fresh

    typer.echo(fresh())


@vault.command("rewrap")
def rewrap(config: Config = None) -> None:
    """Wrap all data keys with the newest master key. The older ones may be dropped after that."""
    with one_line_errors(), open_stores(config) as opened:
        typer.echo(f"{opened.stores.vault.rewrap()} data keys are wrapped by the newest master key now.")


@vault.command("shred")
def shred(
    account: Annotated[str, typer.Argument(help="The account's short name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
) -> None:
    """Make an account's stored provider keys unreadable for good, in backups too."""
    with one_line_errors(), open_stores(config) as opened:
        opened.check_account(account)
        if not yes:
            typer.confirm(f"The stored provider keys of {account} can never be opened again. Go on?", abort=True)
        with opened.stores.audit.change(account, opened.actor.name, "vault.shred", account):
            pass
        typer.echo("Shredded." if opened.stores.vault.shred(account) else f"{account} has no stored secrets.")
