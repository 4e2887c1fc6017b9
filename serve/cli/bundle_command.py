"""`llmdeal bundle`: the bundle that decides, and the ones that are tried."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from serve.cli.errors import one_line_errors
from serve.cli.stores import Config, open_bundles

if TYPE_CHECKING:
    from serve.bundles.bundle_keeper import BundleKeeper
    from serve.bundles.staging import Staging, Standing
    from serve.bundles.store import FoundBundle
    from serve.routing.shadow_repository import ShadowSummary

bundle = typer.Typer(
    help="List, promote, roll back and try quality models while the gateway runs.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(help="The bundle's name: its folder in the folder of bundles.")]
Note = Annotated[str, typer.Option(help="Reason; kept in the history.")]
_FOLLOWS = "Running gateways follow within a second."


@bundle.command("list")
def list_bundles(config: Config = None) -> None:
    """List the bundles, where each one stands, and the gate's verdict on it; then the latest changes."""
    with one_line_errors(), open_bundles(config) as opened:
        keeper = opened.keeper
        staging = keeper.staging()
        table = Table(
            "bundle", "version", "stands as", "judged", title=f"Bundles in {keeper.store.folder}", title_justify="left"
        )
        for stored in keeper.store.all():
            version = stored.bundle.version if stored.bundle else "[red]refused[/]"
            table.add_row(stored.name, version, _stands_as(stored, staging, keeper), _judged(stored))
        console = Console()
        console.print(table)
        for entry in keeper.history.entries()[-10:]:
            change = entry.change
            share = f" on {change.standing.share:.0%}" if change.action in ("canary", "shadow") else ""
            moment = f"{entry.at:%Y-%m-%d %H:%M} UTC"
            text = f"{moment}  {entry.actor}  {change.action} {change.standing.version}{share}  {change.note}"
            console.print(text.rstrip(), highlight=False, markup=False)


@bundle.command("show")
def show_bundle(name: Name, config: Config = None) -> None:
    """Show one bundle: what it is, the gate's verdict, and what it would have done as a shadow."""
    with one_line_errors(), open_bundles(config) as opened:
        keeper = opened.keeper
        stored = keeper.store.look_at(name)
        typer.echo(f"{stored.name}  {stored.folder}")
        if stored.problem:
            typer.echo(f"  problem   {stored.problem}")
        if stored.bundle is not None:
            typer.echo(f"  version   {stored.bundle.version}\n  models    {len(stored.bundle.trained_names)}")
            typer.echo(f"  stands as {_stands_as(stored, keeper.staging(), keeper) or '-'}")
        _show_verdict(stored)
        if stored.bundle is not None:
            for summary in opened.shadows.summaries(stored.bundle.version):
                _show_shadow(summary)


@bundle.command("promote")
def promote(
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Promote it against the gate's verdict; needs a note.")
    ] = False,
    note: Note = "",
    config: Config = None,
) -> None:
    """Make a bundle the champion; refused unless the gate says that it is better than the present one."""
    with one_line_errors(), open_bundles(config) as opened:
        standing = opened.keeper.promote(name, opened.actor, is_forced=force, note=note)
        typer.echo(f"{standing.version} is the champion. {_FOLLOWS}")


@bundle.command("rollback")
def roll_back(note: Note = "", config: Config = None) -> None:
    """Go back to the champion before this one."""
    with one_line_errors(), open_bundles(config) as opened:
        standing = opened.keeper.rollback(opened.actor, note=note)
        typer.echo(f"{standing.version} is the champion again. {_FOLLOWS}")


@bundle.command("canary")
def try_canary(
    name: Name,
    share: Annotated[float, typer.Option(help="Share of the conversations, above 0 and below 1.")] = 0.1,
    note: Note = "",
    config: Config = None,
) -> None:
    """Let a bundle decide a share of the conversations."""
    with one_line_errors(), open_bundles(config) as opened:
        standing = opened.keeper.try_canary(name, share, opened.actor, note=note)
        typer.echo(f"{standing.version} decides {standing.share:.1%} of the conversations. {_FOLLOWS}")


@bundle.command("shadow")
def try_shadow(
    name: Name,
    share: Annotated[float, typer.Option(help="Share of the requests, above 0 and at most 1.")] = 1.0,
    note: Note = "",
    config: Config = None,
) -> None:
    """Ask a bundle what it would do with live requests, and do what the champion says."""
    with one_line_errors(), open_bundles(config) as opened:
        standing = opened.keeper.try_shadow(name, opened.actor, share=share, note=note)
        typer.echo(f"{standing.version} is asked about {standing.share:.0%} of the requests, and not heard. {_FOLLOWS}")


@bundle.command("stop")
def stop(
    stage: Annotated[str, typer.Argument(help="canary or shadow; without it both.")] = "",
    note: Note = "",
    config: Config = None,
) -> None:
    """End what is tried."""
    from serve.errors import ConfigurationError

    with one_line_errors(), open_bundles(config) as opened:
        if stage not in ("", "canary", "shadow"):
            raise ConfigurationError(f"{stage!r} is neither canary nor shadow")
        wanted: Literal["canary", "shadow"] | None = (
            None if stage == "" else "canary" if stage == "canary" else "shadow"
        )
        for standing in opened.keeper.stop(opened.actor, wanted, note=note):
            typer.echo(f"{standing.version} is not tried any more. {_FOLLOWS}")


def _stands_as(stored: "FoundBundle", staging: "Staging", keeper: "BundleKeeper") -> str:
    version = stored.bundle.version if stored.bundle else None

    def is_it(standing: "Standing | None") -> bool:
        return standing is not None and standing.bundle == stored.name and version in (None, standing.version)

    stands = []
    if is_it(staging.champion) or (staging.champion is None and stored.folder == keeper.store.configured):
        stands.append("champion")
    if staging.canary is not None and is_it(staging.canary):
        stands.append(f"canary {staging.canary.share:.0%}")
    if staging.shadow is not None and is_it(staging.shadow):
        stands.append("shadow" if staging.shadow.share == 1 else f"shadow {staging.shadow.share:.0%}")
    return ", ".join(stands)


def _judged(stored: "FoundBundle") -> str:
    if stored.problem:
        return stored.problem
    if stored.verdict is None:
        return ""
    word = "[green]better[/]" if stored.verdict.is_better else "not better"
    return f"{word} than {stored.verdict.champion_version}"


def _show_verdict(stored: "FoundBundle") -> None:
    verdict = stored.verdict
    if verdict is None:
        typer.echo("  judged    never")
        return
    word = "better than" if verdict.is_better else "not better than"
    typer.echo(
        f"  judged    {word} {verdict.champion_version}, on {verdict.n_requests:,} requests, "
        f"{verdict.judged_at:%Y-%m-%d %H:%M}"
    )
    if verdict.utility_gain_usd is not None:
        gain = verdict.utility_gain_usd
        typer.echo(f"  gain      {gain.estimate:+.6f} USD a request, between {gain.low:+.6f} and {gain.high:+.6f}")
    for guard in verdict.guards:
        typer.echo(f"  guard     {guard.name}: {guard.outcome}. {guard.note}")
    for reason in verdict.reasons:
        typer.echo(f"  reason    {reason}")


def _show_shadow(summary: "ShadowSummary") -> None:
    champion, requests = summary.champion_version, f"{summary.n_requests:,} requests"
    lines = (
        f"next to {champion}, on {requests}: the same lane on {summary.agreement:.1%}",
        f"expects quality {summary.quality:.3f} at {summary.cost_usd:.6f} USD of its choices; "
        f"of the other's, quality {summary.quality_of_champions_lane:.3f}",
        f"{champion} expects quality {summary.champion_quality:.3f} at {summary.champion_cost_usd:.6f} USD of its own",
        f"processor time of a decision: mean {summary.decision_us:.0f} us, 95% below {summary.slow_decision_us:.0f} us",
    )
    for number, line in enumerate(lines):
        typer.echo(f"  {'shadow' if number == 0 else '':<10}{line}")
