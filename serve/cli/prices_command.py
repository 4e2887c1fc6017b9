"""`llmdeal prices`: the price of every lane, and newer price tables."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from serve.cli.errors import one_line_errors
from serve.cli.notices import print_notices

if TYPE_CHECKING:
    from router.price_table import Price
    from serve.catalogue.price_sources import PriceUse
    from serve.lanes.assembler import LaneAssembly
    from serve.prices.comparison import PriceChange
    from serve.prices.models_in_use import ModelsInUse
    from serve.prices.store import PriceStore
    from serve.prices.table_file import TableFile
    from serve.settings import Settings

Config = Annotated[Path | None, typer.Option(help="Settings file.")]
_MOST_SHOWN = 40
_FOLLOW = "Running gateways of this machine follow within seconds."

prices = typer.Typer(
    help="List the price of every lane you can use; refresh, compare and confirm price tables.",
    invoke_without_command=True,
)


@dataclass(frozen=True, slots=True)
class _Opened:
    """The prices as a gateway with these settings would start with them.

    Args:
        settings: Settings.
        assembly: The operator's lanes.
        used: Prices in use; None: it is unknown.
        store: Folder of the tables.
    """

    settings: "Settings"
    assembly: "LaneAssembly"
    used: "Mapping[PriceUse, Price | None]"
    store: "PriceStore"


@contextmanager
def _opened(config: Path | None) -> Iterator[_Opened]:
    from serve.bundles.choice import bundle_folder
    from serve.bundles.generation import load_generation
    from serve.clock import SystemClock
    from serve.lanes.assembler import LaneAssembler
    from serve.prices.store import PriceStore
    from serve.settings import load_settings

    with one_line_errors():
        settings = load_settings(config, os.environ)
        generation = load_generation(bundle_folder(settings.bundle))
        assembler = LaneAssembler(settings, os.environ, generation, SystemClock())
        assembly = assembler.of_operator()
        yield _Opened(settings, assembly, assembler.used_prices, PriceStore.of_settings(settings, os.environ))


@contextmanager
def _models_in_use(settings: "Settings") -> "Iterator[ModelsInUse | None]":
    """Yield what finds the models in use; None: no gateway has made the database yet."""
    from serve.errors import StorageError
    from serve.prices.models_in_use import ModelsInUse
    from serve.storage.database import open_database
    from serve.storage.database_choice import database_url

    try:
        engine = open_database(database_url(settings.database, os.environ), must_exist=True)
    except StorageError:
        yield None
        return
    patterns = [pattern for key in settings.virtual_keys for pattern in key.lanes]
    try:
        yield ModelsInUse(engine, lambda: patterns)
    finally:
        engine.dispose()


@prices.callback()
def list_prices(
    context: typer.Context,
    config: Config = None,
    search: Annotated[str, typer.Option(help="Only lanes whose id or model contains this.")] = "",
    provider: Annotated[str, typer.Option(help="Only lanes of this provider.")] = "",
    every: Annotated[
        bool, typer.Option("--all", help="Also lanes that only requests naming them get, without a search.")
    ] = False,
    tiers: Annotated[
        bool, typer.Option("--tiers", help="Show the prices of service tiers and of searches too.")
    ] = False,
) -> None:
    """List the price of every lane you can use, in USD per million tokens, with its source, date and age.

    Lanes that smart-route may choose come first. The others are listed with --all or --search.
    """
    from router.quality_basis import how_to_sharpen
    from serve.clock import SystemClock
    from serve.prices.notices import quarantine_notices, stale_notices

    if context.invoked_subcommand is not None:
        return
    with _opened(config) as opened:
        today = SystemClock().now().date()
        directory = opened.assembly.directory
        table = directory.table
        lanes = table.lanes
        has_sources = bool(opened.settings.prices.sources or opened.settings.prices.file)
        notices = [
            *opened.assembly.notices,
            *quarantine_notices(opened.store.quarantined()),
            *stale_notices((lane.price for lane in lanes), today, has_sources=has_sources),
        ]
        title = f"Prices, snapshot {directory.price_snapshot_id}"
    lane_column = Column("lane", overflow="fold")
    columns = ("input", "cached", "output", "source", "dated", "quality rests on")
    shown = Table(lane_column, *columns, title=title, title_justify="left")
    n_left_out = 0
    vague: list[str] = []
    for lane in sorted(lanes, key=lambda lane: lane.lane_id not in directory.choosable.index_of):
        is_choosable = lane.lane_id in directory.choosable.index_of
        if provider not in ("", lane.provider) or search.lower() not in f"{lane.lane_id} {lane.vendor_model}".lower():
            continue
        if not (is_choosable or every or search):
            n_left_out += 1
            continue
        price, row = lane.price, table.index_of[lane.lane_id]
        cached = "" if price.cached_input_usd_per_mtok is None else str(price.cached_input_usd_per_mtok)
        dated = "" if price.checked_on is None else f"{price.checked_on}, {price.age_days(today)} d"
        retires = "" if lane.deprecated_on is None else f"\nretired on {lane.deprecated_on}"
        shown.add_row(
            lane.lane_id + ("" if is_choosable else "\n[dim]only by name[/]") + f"[dim]{retires}[/]",
            str(price.input_usd_per_mtok),
            cached,
            str(price.output_usd_per_mtok),
            price.source,
            dated,
            table.describe_basis(row),
        )
        command = how_to_sharpen(table.quality_basis(row), lane.vendor_model)
        vague += [] if command is None else [command]
        for tier_row in _tier_rows(price) if tiers else ():
            shown.add_row(*tier_row)
    console = Console()
    console.print(shown)
    if vague:
        console.print(f"[dim]No answers of {len(vague)} of these lanes were graded: '{vague[0]}' grades some.[/]")
    if n_left_out:
        console.print(f"[dim]{n_left_out} more lanes answer only requests that name them: --all, or --search WORD[/]")
    print_notices(console, notices)


@prices.command("refresh")
def refresh_prices(
    config: Config = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Source to ask now, allowed by the settings or not: published, providers or file."),
    ] = None,
) -> None:
    """Ask the sources of newer prices now, check what comes, and use it or keep it aside."""
    from serve.clock import SystemClock
    from serve.errors import ConfigurationError
    from serve.prices.refresh import PriceRefresh
    from serve.prices.sources import SOURCE_KINDS, sources_of

    with _opened(config) as opened:
        kinds = [kind for kind in SOURCE_KINDS if kind in (source or ())]
        if len(kinds) != len(set(source or ())):
            raise ConfigurationError(f"--source {source!r}: unknown. Use {', '.join(SOURCE_KINDS)}.")
        sources = sources_of(opened.settings, os.environ, kinds or None)
        if not sources:
            raise ConfigurationError(
                "no source of prices is allowed, or none has a provider key: set sources under [prices] in "
                "llmdeal.toml, or name one with --source published"
            )
        with _models_in_use(opened.settings) as in_use:
            refresh = PriceRefresh(opened.store, lambda: sources, 0, in_use)
            results = refresh.round(opened.used, SystemClock().now(), is_forced=True)
        if results is None:
            raise ConfigurationError("another process asks for prices at this moment: try again in a minute")
        is_wrong = False
        for result in results:
            typer.echo(f"{result.name}: {result.outcome}")
            for problem in result.problems:
                typer.echo(f"  {problem}")
            if result.outcome == "quarantined":
                typer.echo(f"  See it with llmdeal prices diff {result.name}, use it with llmdeal prices confirm.")
            is_wrong |= result.outcome not in ("unchanged", "accepted")
        if any(result.outcome == "accepted" for result in results):
            typer.echo(_FOLLOW)
    raise typer.Exit(1 if is_wrong else 0)


@prices.command("diff")
def diff_prices(
    name: Annotated[str | None, typer.Argument(help="Table that waits for confirmation; none: all of them.")] = None,
    config: Config = None,
    file: Annotated[Path | None, typer.Option(help="Compare with this published table instead, JSON.")] = None,
) -> None:
    """Show what a table that waits for confirmation would change for the lanes in use."""
    from serve.clock import SystemClock
    from serve.errors import ConfigurationError
    from serve.prices.refresh import changes_by

    with _opened(config) as opened:
        now = SystemClock().now()
        waiting = opened.store.quarantined() if file is None else [_table_of(file)]
        if name is not None and file is None:
            waiting = [each for each in waiting if each.name == name]
            if not waiting:
                raise ConfigurationError(f"no table {name!r} waits for confirmation")
        console = Console()
        if not waiting:
            console.print("No table waits for confirmation.")
        for each in waiting:
            console.print(f"{each.name} from {each.origin}, read {each.read_at:%Y-%m-%d %H:%M} UTC", markup=False)
            for problem in each.problems:
                console.print(f"  {problem}", markup=False)
            _print_changes(console, changes_by(opened.store, each, opened.used, now))


@prices.command("confirm")
def confirm_prices(
    name: Annotated[str, typer.Argument(help="Table that waits for confirmation, as llmdeal prices diff names it.")],
    config: Config = None,
) -> None:
    """Use a table that was kept aside."""
    from serve.clock import SystemClock
    from serve.prices.store import PriceStore
    from serve.settings import load_settings

    with one_line_errors():
        store = PriceStore.of_settings(load_settings(config, os.environ), os.environ)
        file = store.confirm(name, SystemClock().now())
    typer.echo(f"{file.name} from {file.origin} is in use. {_FOLLOW}")


def _tier_rows(price: "Price") -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each service tier, and for each kind of search."""
    for name, tier in price.service_tiers:
        cached = "" if tier.cached_input_usd_per_mtok is None else str(tier.cached_input_usd_per_mtok)
        yield f"  {name}", str(tier.input_usd_per_mtok), cached, str(tier.output_usd_per_mtok)
    for name, amount in (("web search", price.web_search_usd), ("file search", price.file_search_usd)):
        if amount is not None:
            yield f"  {name}, each", str(amount), "", ""


def _table_of(path: Path) -> "TableFile":
    import msgspec

    from serve.clock import SystemClock
    from serve.errors import ConfigurationError
    from serve.prices.get_json import FetchFailed, read_file
    from serve.prices.table_file import OPERATORS_FILE, TableFile

    try:
        content, changed_on = read_file(path)
    except FetchFailed as error:
        raise ConfigurationError(f"{path}: {error}") from None
    return TableFile(OPERATORS_FILE, str(path), SystemClock().now(), changed_on, msgspec.Raw(content))


def _print_changes(console: Console, changes: "list[PriceChange]") -> None:
    if not changes:
        console.print("  No price of a lane in use changes.")
        return
    table = Table(Column("model in use", overflow="fold"), "rate", "now", "then", "change")
    n_rows = 0
    for change in changes:
        rows = [
            (
                rate.name,
                f"{rate.before.normalize():f}",
                f"{rate.after.normalize():f}",
                "from 0" if rate.move is None else f"{float(rate.move):+.0%}",
            )
            for rate in change.rates
        ] or [("all", "" if change.before is None else "priced", "" if change.after is None else "priced", "")]
        for row in rows:
            n_rows += 1
            if n_rows <= _MOST_SHOWN:
                table.add_row(change.name, *row)
    console.print(table)
    if n_rows > _MOST_SHOWN:
        console.print(f"  and {n_rows - _MOST_SHOWN} more rates")
