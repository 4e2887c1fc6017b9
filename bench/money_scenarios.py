"""Real gateways with many callers and small budgets.

One scenario spends the budgets; the other kills workers meanwhile.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from bench.billing_upstream import BAD, GOOD, BillingUpstream
from bench.books import Books, Reconciliation, faults_at_any_time, faults_at_rest, read_books, reconcile
from bench.databases import fresh_database
from bench.gateway_process import GatewayProcess
from bench.money_clients import MoneyClients, Tally
from serve.identity.virtual_keys import issue_virtual_key
from serve.money.budget import BudgetRule
from serve.money.budget_repository import BudgetRepository
from serve.storage.database import open_database
from serve.storage.database_choice import journal_folder

GLOBAL: Final = "account:default"
_REFUSED_IN_A_ROW: Final = 16  # four seconds of refusals: by then idle leases are returned
_CENT_NUSD: Final = 10_000_000
_ALL_AT_ONCE_EVERY: Final = 3


@dataclass(frozen=True, slots=True)
class Findings:
    """The results of a scenario.

    Args:
        database: Kind of database.
        n_workers, n_clients, n_kills: Number of workers, of callers at once, and of kills.
        seconds: Duration.
        tally: Counts of what the callers saw.
        refusals: Provider -> number of refusals.
        books: Ledger and budgets at the end.
        reconciliation: Comparison of the ledger with the providers' bills.
        faults: Broken promises, in words; empty: all promises held.
    """

    database: str
    n_workers: int
    n_clients: int
    n_kills: int
    seconds: float
    tally: Tally
    refusals: dict[str, int]
    books: Books
    reconciliation: Reconciliation
    faults: tuple[str, ...]

    @property
    def n_kills_of_all(self) -> int:
        """Number of kills that took the parent and all workers."""
        return self.n_kills // _ALL_AT_ONCE_EVERY


@dataclass(frozen=True, slots=True)
class Scale:
    """The size of a scenario.

    Args:
        n_workers: Number of the gateway's worker processes.
        n_clients: Number of callers at once.
        cents: Budget of the account, US cents; a provider key gets two fifths of it and a virtual key one fifth.
        n_kills: Number of kills; 0: none.
        seed: Seed of all random choices.
    """

    n_workers: int = 4
    n_clients: int = 64
    cents: int = 5
    n_kills: int = 0
    seed: int = 0


def spend_budgets(kind: str, folder: Path, scale: Scale) -> Findings:
    """Let callers ask until every budget that limits them is spent."""

    async def crowd(clients: MoneyClients, gateway: GatewayProcess, database: str, faults: list[str]) -> None:
        await clients.run(asyncio.Event(), _REFUSED_IN_A_ROW)

    return _run(kind, folder, scale, crowd)


def kill_workers(kind: str, folder: Path, scale: Scale) -> Findings:
    """Kill one worker, or all of them with their parent, while callers ask and budgets are nearly spent."""

    async def killing(clients: MoneyClients, gateway: GatewayProcess, database: str, faults: list[str]) -> None:
        is_over = asyncio.Event()
        asking = asyncio.create_task(clients.run(is_over))
        chance = random.Random(scale.seed)  # noqa: S311 - a script, not a secret
        for number in range(1, scale.n_kills + 1):
            await asyncio.to_thread(_raise_budget, database, (scale.cents + 2 * number) * _CENT_NUSD)
            await asyncio.sleep(chance.uniform(0.3, 1.8))
            await asyncio.to_thread(_kill, gateway, number % _ALL_AT_ONCE_EVERY == 0, chance, scale.n_workers)
            faults += await asyncio.to_thread(lambda: faults_at_any_time(read_books(database)))
        is_over.set()
        await asking

    return _run(kind, folder, scale, killing)


def _kill(gateway: GatewayProcess, is_all: bool, chance: random.Random, n_workers: int) -> None:
    if is_all:
        gateway.kill_all()
        gateway.start()
    elif pids := gateway.worker_pids():
        pid = chance.choice(pids)
        gateway.kill_worker(pid)
        gateway.wait_until(lambda: pid not in gateway.worker_pids() and len(gateway.worker_pids()) == n_workers)


def _run(
    kind: str,
    folder: Path,
    scale: Scale,
    work: Callable[[MoneyClients, GatewayProcess, str, list[str]], Awaitable[None]],
) -> Findings:
    folder.mkdir(parents=True, exist_ok=True)
    virtual_keys = {"tight": issue_virtual_key("test"), "wide": issue_virtual_key("test")}
    environment = {**os.environ, "XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config")}
    faults: list[str] = []
    with fresh_database(kind, folder) as database, BillingUpstream(scale.seed) as upstream:
        settings = folder / "llmdeal.toml"
        settings.write_text(_settings(database, upstream, virtual_keys, scale), encoding="utf-8")
        began_s = time.monotonic()
        gateway = GatewayProcess(settings, scale.n_workers, folder / "gateway.log", environment)
        clients = MoneyClients(lambda: gateway.url, list(virtual_keys.values()), scale.n_clients, scale.seed)
        _raise_budget(database, scale.cents * _CENT_NUSD)
        with gateway:
            asyncio.run(_async(work(clients, gateway, database, faults)))
        books = read_books(database)
        faults += faults_at_rest(books, journal_folder(database, environment))
        reconciliation = reconcile(books, upstream.bills)
        return Findings(
            database=kind,
            n_workers=scale.n_workers,
            n_clients=scale.n_clients,
            n_kills=scale.n_kills,
            seconds=time.monotonic() - began_s,
            tally=clients.tally,
            refusals=dict(upstream.refusals),
            books=books,
            reconciliation=reconciliation,
            faults=(*faults, *reconciliation.faults, *_log_faults(folder / "gateway.log")),
        )


async def _async(work: Awaitable[None]) -> None:
    await work


def _log_faults(log: Path) -> list[str]:
    """Return a fault for tracebacks in the gateway's log; they are always bugs."""
    n_tracebacks = log.read_text(encoding="utf-8", errors="replace").count("Traceback (most recent call last)")
    return [f"{n_tracebacks} tracebacks are in the gateway's log"] if n_tracebacks else []


def _raise_budget(database: str, cap_nusd: int) -> None:
    """Set the budget of the account, as `llmdeal budgets set` does."""
    engine = open_database(database)
    try:
        BudgetRepository(engine).set_rule(BudgetRule(GLOBAL, cap_nusd, ZoneInfo("UTC")))
    finally:
        engine.dispose()


def _settings(database: str, upstream: BillingUpstream, virtual_keys: dict[str, str], scale: Scale) -> str:
    usd = scale.cents / 100
    lines = [f"database = {json.dumps(database)}", 'sandbox = "off"']
    lines += [
        f'[[virtual_keys]]\nname = "{name}"\nkey = "{key}"' for name, key in virtual_keys.items() if name == "tight"
    ]
    lines += [f'monthly_budget_usd = "{usd / 5:.4f}"']
    lines += [f'[[virtual_keys]]\nname = "wide"\nkey = "{virtual_keys["wide"]}"']
    for provider in (*BAD, *GOOD):
        # The failing providers are slightly cheaper, so they are asked first and the gateway has to fall back.
        lines += ["[[servers]]", f'id = "{provider}"', f'base_url = "{upstream.base_url(provider)}"']
        if provider == GOOD[0]:
            lines += [f'monthly_budget_usd = "{usd * 2 / 5:.4f}"']
        lines += [
            "[[servers.models]]",
            'upstream_model = "llama"',
            'vendor_model = "meta/llama"',
            'input_usd_per_mtok = "0.001"',
        ]
        lines += [f'output_usd_per_mtok = "{99 if provider in BAD else 100}"', "context_tokens = 32000"]
    return "\n".join(lines) + "\n"
