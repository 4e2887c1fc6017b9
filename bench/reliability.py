"""Checks on real gateways that budgets hold and that keys do not leak, and writes the results as tables.

Run `python -m bench.reliability --markdown FILE`. The exit status is 1 if a promise was broken. The promises are in
docs/reliability.md.
"""

import argparse
import os
import platform
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.books import overshoot
from bench.canaries import CanaryReport, walk_canaries
from bench.databases import POSTGRESQL, SQLITE, has_postgresql
from bench.money_scenarios import Findings, Scale, kill_workers, spend_budgets

_KILLS_OF_POSTGRESQL = 4
"""One kill in so many is on PostgreSQL."""


def main() -> int:
    """Run everything from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", type=Path, help="File for the tables; without it they are only printed.")
    parser.add_argument("--clients", type=int, default=64, help="Number of callers at once.")
    parser.add_argument("--workers", type=int, default=4, help="Number of worker processes.")
    parser.add_argument("--kills", type=int, default=50, help="Number of kills, over all databases.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the requests and the kills.")
    options = parser.parse_args()
    scale = Scale(n_workers=options.workers, n_clients=options.clients, seed=options.seed)
    with tempfile.TemporaryDirectory(prefix="reliability") as name:
        folder = Path(name)
        crowds, kills = run_money(folder, scale, options.kills)
        canaries = walk_canaries(folder / "canaries")
    text = "\n\n".join((machine_line(), crowd_table(crowds), kill_table(kills), canary_table(canaries))) + "\n"
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    broken = [fault for each in (*crowds, *kills) for fault in each.faults] + list(canaries.leaks)
    sys.stdout.writelines(f"BROKEN: {fault}\n" for fault in broken)
    return 1 if broken else 0


def run_money(folder: Path, scale: Scale, n_kills: int) -> tuple[list[Findings], list[Findings]]:
    """Return the results of crowds and kills, on every available kind of database."""
    kinds = [SQLITE, POSTGRESQL] if has_postgresql() else [SQLITE]
    n_elsewhere = n_kills // _KILLS_OF_POSTGRESQL if POSTGRESQL in kinds else 0
    killed = {SQLITE: n_kills - n_elsewhere, POSTGRESQL: n_elsewhere}
    crowds = [spend_budgets(kind, folder / f"crowd-{kind}", scale) for kind in kinds]
    kills = [
        kill_workers(kind, folder / f"kills-{kind}", replace(scale, n_kills=killed[kind]))
        for kind in kinds
        if killed[kind]
    ]
    return crowds, kills


def crowd_table(crowds: list[Findings]) -> str:
    """Return the table of the crowd scenario."""
    rows: list[tuple[str, list[str]]] = [
        ("workers, callers at once", [f"{each.n_workers}, {each.n_clients}" for each in crowds]),
        (
            "answered, refused with 402",
            [f"{each.tally.statuses[200]:,}, {each.tally.statuses[402]:,}" for each in crowds],
        ),
        ("answered by another lane than the first", [f"{_fallbacks(each):,}" for each in crowds]),
        (
            "provider said 429, 500",
            [f"{each.refusals.get('limited', 0)}, {each.refusals.get('failing', 0)}" for each in crowds],
        ),
        ("callers that left in the middle", [f"{each.tally.n_left}" for each in crowds]),
        *_money_rows(crowds),
    ]
    scopes = sorted(crowds[0].books.caps)
    rows += [(f"spent of the budget of `{scope}`", [_share(each, scope) for each in crowds]) for scope in scopes]
    return _table(crowds, rows)


def kill_table(kills: list[Findings]) -> str:
    """Return the table of the kill scenario."""
    rows: list[tuple[str, list[str]]] = [
        ("workers, callers at once", [f"{each.n_workers}, {each.n_clients}" for each in kills]),
        ("`kill -9` of one worker, of all and their parent", [_kinds_of_kill(each) for each in kills]),
        (
            "answered, refused with 402",
            [f"{each.tally.statuses[200]:,}, {each.tally.statuses[402]:,}" for each in kills],
        ),
        ("connections refused or cut off", [f"{each.tally.n_cut:,}" for each in kills]),
        *_money_rows(kills),
    ]
    return _table(kills, rows)


def canary_table(report: CanaryReport) -> str:
    """Return the table of the canaries."""
    rows = (
        ("canary keys and passwords", f"{report.n_keys}"),
        ("of these, provider keys that reached a provider", f"{report.n_sent}"),
        ("requests, commands", f"{report.n_requests}, {report.n_commands}"),
        ("kinds of places searched", f"{len(report.places)}"),
        ("found again", f"{len(report.leaks)}"),
    )
    return "\n".join(["| canaries | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def machine_line() -> str:
    """Return a line that describes the machine."""
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}."


def _money_rows(findings: list[Findings]) -> list[tuple[str, list[str]]]:
    books = [each.reconciliation for each in findings]
    return [
        ("charges at the provider's own usage", [f"{each.n_exact:,}" for each in books]),
        ("these in the ledger, nano-dollars", [f"{each.exact_nusd:,}" for each in books]),
        ("the same in the providers' bills", [f"{each.billed_nusd:,}" for each in books]),
        (
            "answers whose usage never came, charges by estimate",
            [f"{each.n_unknown:,}, {each.n_estimated:,}" for each in books],
        ),
        ("overshoot, all budgets, nano-dollars", [f"{sum(overshoot(each.books).values()):,}" for each in findings]),
        ("leases left over", [f"{each.books.n_leases}" for each in findings]),
        ("promises broken", [f"{len(each.faults)}" for each in findings]),
    ]


def _table(findings: list[Findings], rows: list[tuple[str, list[str]]]) -> str:
    lines = ["| | " + " | ".join(each.database for each in findings) + " |", "|---|" + "--:|" * len(findings)]
    return "\n".join(lines + [f"| {name} | " + " | ".join(values) + " |" for name, values in rows])


def _share(each: Findings, scope: str) -> str:
    cap = each.books.caps[scope]
    return f"{each.books.spent.get(scope, 0) / cap:.1%} of {cap / 1e9:.3f} USD"


def _fallbacks(each: Findings) -> int:
    return sum(count for reason, count in each.tally.reasons.items() if reason.startswith("fallback"))


def _kinds_of_kill(each: Findings) -> str:
    return f"{each.n_kills - each.n_kills_of_all}, {each.n_kills_of_all}"


if __name__ == "__main__":
    sys.exit(main())
