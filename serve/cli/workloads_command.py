"""`llmdeal workloads`: costs of typical workloads, alone and routed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve.cli.errors import one_line_errors

if TYPE_CHECKING:
    from serve.jobs.workloads.breakdown import ProviderRow, WorkloadBreakdown

_HEADINGS = ("provider alone", "its best model", "score", "1,000 requests", "routed", "score", "saved")


def workloads(
    config: Annotated[Path | None, typer.Option(help="Settings file, for the bundle.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="File to which the tables are also written, as Markdown.")
    ] = None,
) -> None:
    """Show what four workloads would cost at each provider alone, and routed at equal quality, at today's prices."""
    from rich.console import Console
    from rich.table import Table

    from router.bundle import load_bundle
    from serve.bundles.choice import bundle_folder
    from serve.catalogue.packaged_prices import PackagedPrices
    from serve.clock import SystemClock
    from serve.errors import ConfigurationError
    from serve.jobs.workloads.breakdown import break_down
    from serve.jobs.workloads.workload_rows import load_workloads
    from serve.packaged_files import data_dir
    from serve.prices.store import PriceStore
    from serve.settings import load_settings

    console = Console()
    with one_line_errors():
        settings, now = load_settings(config, os.environ), SystemClock().now()
        bundle = load_bundle(bundle_folder(settings.bundle))
        prices = PackagedPrices(now, PriceStore.of_settings(settings, os.environ).tables(now.date()).published)
        breakdowns = break_down(bundle, load_workloads(data_dir() / "workloads.yaml"), prices)
        if not breakdowns:
            raise ConfigurationError(
                f"{bundle.version} has no graded prompts of these workloads: use the shipped bundle"
            )
        if markdown is not None:
            try:
                markdown.write_text(_as_markdown(breakdowns), encoding="utf-8")
            except OSError as problem:
                raise ConfigurationError(f"--markdown {markdown}: cannot be written ({problem.strerror})") from None
    for breakdown in breakdowns:
        shown = Table(
            *_HEADINGS, title=f"[bold]{breakdown.row.name}[/]: {breakdown.row.stands_for}", title_justify="left"
        )
        for column in shown.columns[2:]:
            column.justify = "right"
        for provider in breakdown.providers:
            shown.add_row(*_cells(provider))
        console.print(shown)
        console.print(f"[dim]{_basis(breakdown)}[/]\n")
    console.print(
        f"Prices: {prices.table.source}, of {prices.table.dated}; beliefs of {bundle.version}, "
        "from networks that had not seen these prompts."
    )


def _cells(row: "ProviderRow") -> list[str]:
    if row.routed_usd is None or row.routed_score is None:
        return [row.provider, row.best_model, f"{row.score:.1%}", f"${row.cost_usd:.3f}", "not reached", "", ""]
    saved = f"{1 - row.routed_usd / row.cost_usd:.0%}" if row.cost_usd else "–"
    return [
        row.provider,
        row.best_model,
        f"{row.score:.1%}",
        f"${row.cost_usd:.3f}",
        f"${row.routed_usd:.3f}",
        f"{row.routed_score:.1%}",
        saved,
    ]


def _basis(breakdown: "WorkloadBreakdown") -> str:
    lengths = "" if breakdown.has_lengths else "; lengths of answers are predicted, not measured"
    return f"{breakdown.prompts:,} graded prompts, {breakdown.offers} offers to route among{lengths}"


def _as_markdown(breakdowns: "Sequence[WorkloadBreakdown]") -> str:
    parts = []
    for breakdown in breakdowns:
        lines = [f"### {breakdown.row.name.capitalize()}", ""]
        lines += [f"- Made of: {breakdown.row.stands_for}.", f"- {_basis(breakdown)}.", ""]
        lines += [f"| {' | '.join(_HEADINGS)} |", "|---|---|" + "---:|" * 5]
        lines += [f"| {' | '.join(_cells(row))} |" for row in breakdown.providers]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
