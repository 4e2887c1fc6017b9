"""Measures what changes of bundles cost the requests: no trial, a canary, a shadow, and a swap every other second.

Run `python -m bench.bundle_swap [--seconds 10] [--connections 8]`. It uses a real gateway with its sandbox and one
worker. The load runs in its own process; with two cores or more, each has its own core. The cases take turns over
several rounds, because other work on the machine changes over time.
"""

import argparse
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.gateway_process import GatewayProcess
from bench.load import LoadResult, Target, apply_load
from bench.prompts import SMART_ROUTE, prompt
from serve.bundles.bundle_keeper import BundleKeeper
from serve.bundles.choice import SHIPPED_BUNDLE
from serve.bundles.history import BundleHistory
from serve.bundles.store import BundleStore
from serve.errors import ConflictError
from serve.identity.audit_repository import AuditRepository
from serve.packaged_files import models_dir
from serve.storage.database import open_database

_OTHER = "other"
_ACTOR = "bench"
_N_PROMPTS = 64
_PROMPT_WORDS = 60
_SETTLE_S = 2.5  # workers notice a change within a second, and load the bundle in a fraction of one
_SWAP_EVERY_S = 2.0
Case = tuple[str, Callable[[BundleKeeper], object], bool]


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one case, over its rounds.

    Args:
        name: Name of the case.
        per_second: Right answers per second in each round.
        p50_ms, p99_ms, slowest_ms: Latency of the requests of each round.
        n_errors: Number of wrong or missing answers, over all rounds.
        n_swaps: Number of changes of the champion.
    """

    name: str
    per_second: list[float]
    p50_ms: list[float]
    p99_ms: list[float]
    slowest_ms: list[float]
    n_errors: int
    n_swaps: int


def measure(seconds: float, connections: int, rounds: int) -> list[Measured]:
    """Measure each case."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_other_bundle(folder / "bundles" / _OTHER)
        settings = folder / "llmdeal.toml"
        settings.write_text(f'database = "{folder}/llmdeal.db"\nsandbox = "on"\nsandbox_pace = 0.0\n')
        environment = {**os.environ, "XDG_CONFIG_HOME": str(folder), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
        with GatewayProcess(settings, 1, folder / "log", environment, ("--log-level", "error")) as gateway:
            keeper = _keeper(folder)
            target = _target(gateway.url)
            apply_load(target, connections, 1.0)
            taken: dict[str, list[tuple[LoadResult, int]]] = {}
            for _ in range(rounds):
                for name, begin, is_swapping in _CASES:
                    begin(keeper)
                    threading.Event().wait(_SETTLE_S)
                    with ThreadPoolExecutor(1) as pool:
                        is_over = threading.Event()
                        swapping = pool.submit(_swap, keeper, is_over) if is_swapping else None
                        result = apply_load(target, connections, seconds)
                        is_over.set()
                        n_swaps = swapping.result() if swapping is not None else 0
                    taken.setdefault(name, []).append((result, n_swaps))
                    _end_all(keeper)
    return [_measured(name, results) for name, results in taken.items()]


def _measured(name: str, results: list[tuple[LoadResult, int]]) -> Measured:
    loads = [load for load, _ in results]
    return Measured(
        name=name,
        per_second=[load.per_second for load in loads],
        p50_ms=[load.percentile_ms(0.5) for load in loads],
        p99_ms=[load.percentile_ms(0.99) for load in loads],
        slowest_ms=[load.percentile_ms(1.0) for load in loads],
        n_errors=sum(sum(load.errors.values()) for load in loads),
        n_swaps=sum(n_swaps for _, n_swaps in results),
    )


def _swap(keeper: BundleKeeper, is_over: threading.Event) -> int:
    n_swaps = 0
    while not is_over.wait(_SWAP_EVERY_S):
        if n_swaps % 2:
            keeper.rollback(_ACTOR)
        else:
            keeper.promote(_OTHER, _ACTOR, is_forced=True, note="a measurement")
        n_swaps += 1
    return n_swaps


def _end_all(keeper: BundleKeeper) -> None:
    with suppress(ConflictError):
        keeper.stop(_ACTOR)
    with suppress(ConflictError):
        keeper.rollback(_ACTOR)


def _keeper(folder: Path) -> BundleKeeper:
    history = BundleHistory(AuditRepository(open_database(str(folder / "llmdeal.db")), lambda: datetime.now(UTC)))
    return BundleKeeper(BundleStore(folder / "bundles", models_dir() / SHIPPED_BUNDLE), history)


def _write_other_bundle(folder: Path) -> None:
    """Write the shipped bundle under another name, which makes it another version."""
    shutil.copytree(models_dir() / SHIPPED_BUNDLE, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"name": _OTHER}))


def _target(url: str) -> Target:
    bodies = [
        {
            "model": SMART_ROUTE,
            "messages": [{"role": "user", "content": prompt(number, _PROMPT_WORDS)}],
            "max_tokens": 20,
        }
        for number in range(_N_PROMPTS)
    ]
    return Target(f"{url}/v1/chat/completions", "", [json.dumps(body).encode() for body in bodies])


_CASES: tuple[Case, ...] = (
    ("nothing on trial", lambda keeper: None, False),
    ("a canary on half", lambda keeper: keeper.try_canary(_OTHER, 0.5, _ACTOR), False),
    ("a shadow on all", lambda keeper: keeper.try_shadow(_OTHER, _ACTOR), False),
    ("a swap every 2 s", lambda keeper: None, True),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the load for each case and round")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print("medians of the rounds; slowest of all    req/s   p50 ms   p99 ms   slowest ms   errors   swaps")
    for case in measure(given.seconds, given.connections, given.rounds):
        medians = [float(np.median(values)) for values in (case.per_second, case.p50_ms, case.p99_ms)]
        print(
            f"{case.name:38} {medians[0]:7.0f} {medians[1]:8.2f} {medians[2]:8.2f} "
            f"{max(case.slowest_ms):12.1f} {case.n_errors:8d} {case.n_swaps:7d}"
        )


if __name__ == "__main__":
    main()
