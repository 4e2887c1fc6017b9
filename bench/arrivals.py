"""How long answers take when callers ask at random moments: the gateway beside the plain proxy, at several rates.

`python -m bench.arrivals [--rates 100,200,400] [--rounds 3] [--seconds 5]`. The bench's own load asks as fast as answers come, which hides how long a
request waits for those before it; here it counts. Exits 1 when an answer is wrong.
"""

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.load import LoadResult, Target, apply_arrivals, apply_load
from bench.processes import Cores, running_server
from bench.subjects import Subject, llmdeal_subject, mock_subject, plain_subject

_WARM_UP_S = 2.0
_CONNECTIONS = 16
_SHARES = (0.5, 0.9, 0.99)
_HEAD = ("", "a second", *(f"p{share * 100:.0f} ms" for share in _SHARES))

Found = dict[tuple[str, str, int], list[LoadResult]]


def measure(rates: list[int], rounds: int, seconds: float) -> Found:
    """Return the results of every round: (kind of answer, subject, requests a second) -> results. Subjects take turns.

    Args:
        rates: Requests a second.
        rounds: How often each is measured.
        seconds: Of each measurement.
    """
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    found: Found = {}
    with ExitStack() as servers:
        folder = Path(servers.enter_context(tempfile.TemporaryDirectory()))
        mock = mock_subject()
        servers.enter_context(running_server(mock.command, {}, cores.load, mock.whole, folder / "mock.log"))
        upstream = mock.whole.url.removesuffix("/chat/completions")
        subjects = [plain_subject(upstream), llmdeal_subject(upstream, folder)]
        for subject in subjects:
            log = folder / f"{subject.name}.log"
            servers.enter_context(running_server(subject.command, subject.environment, cores.server, subject.whole, log))
            apply_load(subject.whole, _CONNECTIONS, _WARM_UP_S)
            apply_load(subject.streamed, _CONNECTIONS, _WARM_UP_S)
        for number in range(rounds):
            for kind in ("whole", "stream"):
                for rate in rates:
                    for subject in subjects:
                        result = apply_arrivals(_target(subject, kind), rate, seconds, number)
                        found.setdefault((kind, subject.name, rate), []).append(result)
    return found


def _target(subject: Subject, kind: str) -> Target:
    return subject.whole if kind == "whole" else subject.streamed


def main() -> int:
    """Print the latencies, medians of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="100,200,400", help="requests a second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    rates = [int(rate) for rate in options.rates.split(",")]
    found = measure(rates, options.rounds, options.seconds)
    table = Table(*_HEAD)
    for (kind, name, rate), results in found.items():
        medians = (statistics.median(result.percentile_ms(share) for result in results) for share in _SHARES)
        table.add_row(f"{kind}, {name}", str(rate), *(f"{median:.1f}" for median in medians))
    Console().print(table)
    errors = sum(result.errors.total() for results in found.values() for result in results)
    if errors:
        print(f"{errors} WRONG ANSWERS")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
