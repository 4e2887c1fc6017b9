"""`llmdeal provider-keys`: your keys at providers, sealed in the database."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from serve.cli.errors import one_line_errors
from serve.cli.stores import AccountOption, Config, open_stores
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

if TYPE_CHECKING:
    from serve.provider_keys.importable_key import Importable

provider_keys = typer.Typer(
    help="Store, test and remove your keys at providers.", invoke_without_command=True, no_args_is_help=False
)
Provider = Annotated[str, typer.Argument(help="As in docs/providers.md: openai, anthropic, groq, …")]
Name = Annotated[str, typer.Option(help="The key's name; tells several keys of one provider apart.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be stored, and store nothing.")]
File = Annotated[Path, typer.Argument(help="The file.")]


@provider_keys.callback()
def list_keys(context: typer.Context, account: AccountOption = DEFAULT_ACCOUNT, config: Config = None) -> None:
    """List an account's stored provider keys; the keys of the environment and the settings are there."""
    if context.invoked_subcommand is None:
        with one_line_errors(), open_stores(config) as opened:
            opened.check_account(account)
            table = Table("provider", "name", "ends in", "organisation", "tested", "")
            for key in opened.stores.provider_keys.repository.of_account(account):
                table.add_row(
                    key.provider,
                    key.name,
                    f"…{key.last_four}",
                    key.organisation or "",
                    key.test_outcome or "",
                    "" if key.is_enabled else "[yellow]off[/]",
                )
            Console().print(table)


@provider_keys.command("add")
def add(
    provider: Annotated[
        str | None, typer.Argument(help="As in docs/providers.md; absent: the provider whose keys begin like this one.")
    ] = None,
    name: Name = "main",
    account: AccountOption = DEFAULT_ACCOUNT,
    organisation: Annotated[str | None, typer.Option(help="Keys of one organisation share its rate limits.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address, where it is your own (Azure).")] = None,
    region: Annotated[str | None, typer.Option(help="eu or us, where the provider offers it.")] = None,
    monthly_usd: Annotated[str | None, typer.Option(help="Its monthly budget, USD.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="Read it from a file: the JSON of a Google service account.")
    ] = None,
    config: Config = None,
) -> None:
    """Store a provider key. It is typed, or read from standard input or a file, so that no shell remembers it.

    Vertex takes the JSON of a service account. Bedrock takes ACCESS_KEY_ID:SECRET_ACCESS_KEY, or an API key of its own.
    Azure takes --base-url too.
    """
    from serve.money.usd_amount import usd_of_text

    with one_line_errors():
        budget_usd = None if monthly_usd is None else usd_of_text(monthly_usd)
        with open_stores(config) as opened:
            opened.check_account(account)
            desk = opened.desks.provider_keys
            key = desk.store(
                account,
                provider,
                name,
                _read_secret(key_file),
                opened.actor,
                organisation=organisation,
                base_url=base_url,
                region=region,
                budget_usd=budget_usd,
            )
            outcome = desk.test(account, key.provider, key.name, opened.actor)
            typer.echo(f"Stored {key.lane_prefix}, which ends in …{key.last_four}. The provider says: {outcome}.")


def _read_secret(key_file: Path | None) -> str:
    from serve.errors import ConfigurationError

    if key_file is None:
        return str(typer.prompt("Key", hide_input=True)) if sys.stdin.isatty() else sys.stdin.read()
    try:
        return key_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--key-file: {key_file} cannot be read ({type(error).__name__})") from None


@provider_keys.command("test")
def ask_provider(
    provider: Provider, name: Name = "main", account: AccountOption = DEFAULT_ACCOUNT, config: Config = None
) -> None:
    """Ask a provider whether it accepts a key; costs nothing."""
    with one_line_errors(), open_stores(config) as opened:
        typer.echo(opened.desks.provider_keys.test(account, provider, name, opened.actor))


@provider_keys.command("remove")
def remove(
    provider: Provider, name: Name = "main", account: AccountOption = DEFAULT_ACCOUNT, config: Config = None
) -> None:
    """Delete a key for good; a running gateway follows within a second."""
    with one_line_errors(), open_stores(config) as opened:
        opened.desks.provider_keys.remove(account, provider, name, opened.actor)
        typer.echo(f"Removed {provider}@{name}.")


@provider_keys.command("enable")
def enable(
    provider: Provider, name: Name = "main", account: AccountOption = DEFAULT_ACCOUNT, config: Config = None
) -> None:
    """Use a key again."""
    _switch(config, account, provider, name, is_enabled=True)


@provider_keys.command("disable")
def disable(
    provider: Provider, name: Name = "main", account: AccountOption = DEFAULT_ACCOUNT, config: Config = None
) -> None:
    """Keep a key, but leave its lanes out."""
    _switch(config, account, provider, name, is_enabled=False)


@provider_keys.command("import-env")
def import_env(
    file: File, account: AccountOption = DEFAULT_ACCOUNT, dry_run: DryRun = False, config: Config = None
) -> None:
    """Store the provider keys of a .env file."""
    from serve.catalogue.provider_rows import load_provider_rows
    from serve.packaged_files import data_dir
    from serve.provider_keys.import_env import read_env_file

    with one_line_errors():
        keys = read_env_file(file, load_provider_rows(data_dir() / "providers"))
        _store(keys, config, account, is_rehearsal=dry_run)


@provider_keys.command("import-litellm")
def import_litellm(
    file: File, account: AccountOption = DEFAULT_ACCOUNT, dry_run: DryRun = False, config: Config = None
) -> None:
    """Store the provider keys of LiteLLM's config.yaml, and print what else of it belongs in llmdeal.toml."""
    from serve.catalogue.provider_rows import load_provider_rows
    from serve.packaged_files import data_dir
    from serve.provider_keys.import_litellm import read_litellm_config

    with one_line_errors():
        keys = read_litellm_config(file, load_provider_rows(data_dir() / "providers"), os.environ)
        _store(keys, config, account, is_rehearsal=dry_run)


def _store(importable: "Importable", config: Config, account: str, *, is_rehearsal: bool) -> None:
    from serve.errors import CallerError

    with open_stores(config) as opened:
        opened.check_account(account)
        for key in importable.keys:
            shown = f"{key.provider}@{key.name} (…{key.secret[-4:]}, {key.origin})"
            if is_rehearsal:
                typer.echo(f"would store {shown}")
                continue
            try:
                opened.desks.provider_keys.store(
                    account, key.provider, key.name, key.secret, opened.actor, base_url=key.base_url
                )
                typer.echo(f"stored {shown}")
            except CallerError as error:
                typer.secho(f"left out {shown}: {error.message}", fg="yellow")
    if importable.settings:
        typer.echo(f"\nFor llmdeal.toml:\n\n{importable.settings}")
    for note in importable.notes:
        typer.secho(f"• {note}", fg="yellow", err=True)


def _switch(config: Config, account: str, provider: str, name: str, *, is_enabled: bool) -> None:
    with one_line_errors(), open_stores(config) as opened:
        opened.desks.provider_keys.change(account, provider, name, opened.actor, is_enabled=is_enabled)
        typer.echo(f"{provider}@{name} is {'used' if is_enabled else 'left out'} from now on.")
