"""Shows on real gateways that money holds and that keys do not leak, and writes what was found as tables.

`python -m bench.reliability --markdown FILE`; ends with 1 where a promise was broken. What is promised: docs/reliability.md.
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
"""One kill in so many is done on PostgreSQL."""


def main() -> int:
    """Run everything from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", type=Path, help="Where the tables are written; absent: to standard output alone.")
    parser.add_argument("--clients", type=int, default=64, help="Callers at once.")
    parser.add_argument("--workers", type=int, default=4, help="Processes of the gateway.")
    parser.add_argument("--kills", type=int, default=50, help="Of workers, on all databases together.")
    parser.add_argument("--seed", type=int, default=0, help="Of who asks what, and of who is killed when.")
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
    broken = [fault for found in (*crowds, *kills) for fault in found.faults] + list(canaries.leaks)
    sys.stdout.writelines(f"BROKEN: {fault}\n" for fault in broken)
    return 1 if broken else 0


def run_money(folder: Path, scale: Scale, n_kills: int) -> tuple[list[Findings], list[Findings]]:
    """Return what crowds and kills showed, on every database that there is here."""
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
    """Return the table of the crowds."""
    rows: list[tuple[str, list[str]]] = [
        ("workers, callers at once", [f"{found.n_workers}, {found.n_clients}" for found in crowds]),
        (
            "answered, refused with 402",
            [f"{found.tally.statuses[200]:,}, {found.tally.statuses[402]:,}" for found in crowds],
        ),
        ("answered by another lane than the first", [f"{_fallbacks(found):,}" for found in crowds]),
        (
            "provider said 429, 500",
            [f"{found.refusals.get('limited', 0)}, {found.refusals.get('failing', 0)}" for found in crowds],
        ),
        ("callers that left in the middle", [f"{found.tally.n_left}" for found in crowds]),
        *_money_rows(crowds),
    ]
    scopes = sorted(crowds[0].books.caps)
    rows += [(f"spent of the budget of `{scope}`", [_share(found, scope) for found in crowds]) for scope in scopes]
    return _table(crowds, rows)


def kill_table(kills: list[Findings]) -> str:
    """Return the table of the kills."""
    rows: list[tuple[str, list[str]]] = [
        ("workers, callers at once", [f"{found.n_workers}, {found.n_clients}" for found in kills]),
        ("`kill -9` of one worker, of all and their parent", [_kinds_of_kill(found) for found in kills]),
        (
            "answered, refused with 402",
            [f"{found.tally.statuses[200]:,}, {found.tally.statuses[402]:,}" for found in kills],
        ),
        ("connections refused or cut off", [f"{found.tally.n_cut:,}" for found in kills]),
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
    """Return where it was measured."""
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}."


def _money_rows(found: list[Findings]) -> list[tuple[str, list[str]]]:
    books = [each.reconciliation for each in found]
    return [
        ("charges at the provider's own usage", [f"{each.n_exact:,}" for each in books]),
        ("these in the ledger, nano-dollars", [f"{each.exact_nusd:,}" for each in books]),
        ("the same in the providers' bills", [f"{each.billed_nusd:,}" for each in books]),
        (
            "answers whose usage never came, charges by estimate",
            [f"{each.n_unknown:,}, {each.n_estimated:,}" for each in books],
        ),
        ("overshoot, all budgets, nano-dollars", [f"{sum(overshoot(each.books).values()):,}" for each in found]),
        ("leases left over", [f"{each.books.n_leases}" for each in found]),
        ("promises broken", [f"{len(each.faults)}" for each in found]),
    ]


def _table(found: list[Findings], rows: list[tuple[str, list[str]]]) -> str:
    lines = ["| | " + " | ".join(each.database for each in found) + " |", "|---|" + "--:|" * len(found)]
    return "\n".join(lines + [f"| {name} | " + " | ".join(values) + " |" for name, values in rows])


def _share(found: Findings, scope: str) -> str:
    cap = found.books.caps[scope]
    return f"{found.books.spent.get(scope, 0) / cap:.1%} of {cap / 1e9:.3f} USD"


def _fallbacks(found: Findings) -> int:
    return sum(count for reason, count in found.tally.reasons.items() if reason.startswith("fallback"))


def _kinds_of_kill(found: Findings) -> str:
    return f"{found.n_kills - found.n_kills_of_all}, {found.n_kills_of_all}"


if __name__ == "__main__":
    sys.exit(main())
