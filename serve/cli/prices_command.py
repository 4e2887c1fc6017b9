"""`llmdeal prices`: the price of every lane."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from serve.cli.errors import one_line_errors
from serve.cli.notices import print_notices


def prices(
    config: Annotated[Path | None, typer.Option(help="Settings file.")] = None,
    search: Annotated[str, typer.Option(help="Only lanes whose id contains this.")] = "",
) -> None:
    """List the price of every lane you can use, in USD per million tokens, with its source and date."""
    from serve.bundles.choice import bundle_folder
    from serve.bundles.generation import load_generation
    from serve.clock import SystemClock
    from serve.lanes.assembler import LaneAssembler
    from serve.settings import load_settings

    with one_line_errors():
        settings = load_settings(config, os.environ)
        generation = load_generation(bundle_folder(settings.bundle))
        assembly = LaneAssembler(settings, os.environ, generation, SystemClock()).of_operator()
    shown = Table(
        "lane",
        "input",
        "cached",
        "output",
        "source",
        "checked",
        title=f"Prices, snapshot {assembly.directory.price_snapshot_id}",
        title_justify="left",
    )
    for lane in assembly.directory.table.lanes:
        if search in lane.lane_id:
            price = lane.price
            cached = "" if price.cached_input_usd_per_mtok is None else str(price.cached_input_usd_per_mtok)
            shown.add_row(
                lane.lane_id,
                str(price.input_usd_per_mtok),
                cached,
                str(price.output_usd_per_mtok),
                price.source,
                str(price.checked_on),
            )
    console = Console()
    console.print(shown)
    print_notices(console, assembly.notices)
