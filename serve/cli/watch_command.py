"""`llmdeal watch`: what was learned about lanes since the bundle was trained, and drift."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from serve.cli.errors import one_line_errors
from serve.cli.stores import AccountOption, Config
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

if TYPE_CHECKING:
    from serve.watch.report import WatchReport


def watch(
    account: AccountOption = DEFAULT_ACCOUNT,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the alarms that ring and nothing else.")] = False,
    config: Config = None,
) -> None:
    """Show lanes whose quality changed, drift of prompts, and alarms; exit status 1 if an alarm rings."""
    import os

    from serve.alerts.watch_repository import WatchRepository
    from serve.bundles.store import open_store
    from serve.clock import SystemClock
    from serve.instant import to_microseconds
    from serve.settings import load_settings
    from serve.storage.database import open_database
    from serve.storage.database_choice import database_url
    from serve.watch.bundle_shifts import BundleShifts
    from serve.watch.configured_watch import learning_terms
    from serve.watch.lane_watch import LaneWatch
    from serve.watch.report import read_report

    with one_line_errors():
        settings = load_settings(config, os.environ)
        engine = open_database(database_url(settings.database, os.environ), must_exist=True)
        terms, now_us = learning_terms(settings.watch), to_microseconds(SystemClock().now())
        beginnings = BundleShifts(open_store(settings, os.environ).folders().values)
        lanes = LaneWatch(engine, WatchRepository(engine), terms, beginnings, round_us=0)
        lanes.look()
        lanes.learn(now_us)  # a running gateway does the same
        report = read_report(engine, terms, account, now_us)
        engine.dispose()
    console = Console()
    if not quiet:
        _print_report(console, report)
    for alarm in report.ringing:
        console.print(f"[red]alarm[/] [bold]{alarm.kind}[/] {alarm.subject}: {alarm.message}", highlight=False)
    if not report.ringing:
        console.print("[green]No alarm rings.[/]")
        return
    raise SystemExit(1)


def _print_report(console: Console, report: "WatchReport") -> None:
    for version in report.versions:
        console.print(
            f"[bold]{version.router_version}[/]: {version.n_answers:,} judged answers; all lanes together "
            f"{version.common_shift:+.2f} ± {version.common_shift_std:.2f} log odds from what was predicted; "
            f"evidence of an alarm {version.evidence:.0%}",
            highlight=False,
        )
    if report.lanes:
        lanes = Table(
            "lane", "bundle", "shift", "±", "judged", "evidence", title="Lanes, in log odds", title_justify="left"
        )
        for lane in report.lanes:
            figures = (f"{lane.shift:+.2f}", f"{lane.shift_std:.2f}", f"{lane.n_answers:,}", f"{lane.evidence:.0%}")
            lanes.add_row(lane.lane_id, lane.router_version, *figures)
        console.print(lanes)
    else:
        console.print("Nothing was learned of lanes: no answer was judged in the last days.")
    title = f"Prompts: {report.n_now:,} of this week against {report.n_before:,} of the four weeks before"
    if report.numbers:
        prompts = Table("number", "stability index", "by chance", title=title, title_justify="left")
        for name, index, by_chance in report.numbers:
            prompts.add_row(name, f"{index:.3f}", f"{by_chance:.3f}")
        console.print(prompts)
    else:
        console.print(f"{title}: too few to compare.")
    for name, index in report.against_bundle:
        console.print(f"Against the prompts that the bundle was trained on: {name} {index:.2f}")
