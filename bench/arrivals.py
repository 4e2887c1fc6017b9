"""How long answers take when callers ask at random moments: the gateway beside the plain proxy, at several rates.

`python -m bench.arrivals [--rates 100 200 400] [--rounds 3] [--seconds 4] [--markdown FILE]`. The bench's own load asks as fast as answers come, which
hides how long a request waits for those before it; here it counts. Exits 1 when an answer is wrong.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path

from rich.console import Console

from bench.load import LoadResult, apply_arrivals, apply_load
from bench.measure import CONNECTIONS, FULL
from bench.processes import BenchError, Cores, running_server
from bench.report import Rows, print_table, to_markdown
from bench.subjects import llmdeal_subject, mock_subject, plain_subject

_SHARES = (0.5, 0.9, 0.99)

Found = dict[tuple[str, int, str], list[LoadResult]]


def measure(rates: Sequence[int], rounds: int, seconds: float) -> Found:
    """Return the results of every round: (kind of answer, requests a second, subject) -> results. Subjects take turns.

    Args:
        rates: Requests a second.
        rounds: How often each is measured.
        seconds: Of each measurement.

    Raises:
        BenchError: A server does not run.
    """
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    found: Found = {}
    with ExitStack() as servers:
        folder = Path(servers.enter_context(tempfile.TemporaryDirectory()))
        mock = mock_subject()
        servers.enter_context(running_server(mock.command, {}, cores.load, mock.whole, folder / "mock.log"))
        upstream = mock.whole.url.removesuffix("/chat/completions")
        subjects = (plain_subject(upstream), llmdeal_subject(upstream, folder))
        for subject in subjects:
            log = folder / f"{subject.name}.log"
            servers.enter_context(
                running_server(subject.command, subject.environment, cores.server, subject.whole, log)
            )
            for target in (subject.whole, subject.streamed):
                apply_load(target, CONNECTIONS, FULL.warm_up_s)
        for number, is_streaming, rate, subject in product(range(rounds), (False, True), rates, subjects):
            target = subject.streamed if is_streaming else subject.whole
            key = ("stream" if is_streaming else "whole", rate, subject.name)
            found.setdefault(key, []).append(apply_arrivals(target, rate, seconds, seed=number))
    return found


def latency_rows(found: Found) -> Rows:
    """Return the latencies as a table, medians of the rounds; its head comes first."""
    rows = [["", "a second", *(f"p{share * 100:.0f} ms" for share in _SHARES)]]
    for (kind, rate, name), results in found.items():
        medians = (statistics.median(result.percentile_ms(share) for result in results) for share in _SHARES)
        rows.append([f"{kind}, {name}", f"{rate:,}", *(f"{median:,.1f}" for median in medians)])
    return rows


def main() -> int:
    """Run the benchmark from the command line."""
    options = _read_options()
    console = Console() if sys.stdout.isatty() else Console(width=160)
    found = measure(options.rates, options.rounds, options.seconds)
    rows = latency_rows(found)
    print_table(console, "At random moments", rows)
    if options.markdown:
        options.markdown.write_text(to_markdown(rows))
    errors = sum((result.errors for results in found.values() for result in results), start=Counter[str]())
    if errors:
        console.print(f"[bold red]{errors.total()} WRONG ANSWERS: {dict(errors)}")
    return int(errors.total() > 0)


def _read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.arrivals", description="Latency at random moments, beside a plain proxy."
    )
    parser.add_argument(
        "--rates", type=_positive, nargs="+", default=[100, 200, 400], help="requests a second (default: 100 200 400)"
    )
    parser.add_argument("--rounds", type=_positive, default=3, help="the median of so many is reported (default: 3)")
    parser.add_argument("--seconds", type=_positive, default=4, help="of each measurement (default: 4)")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="also write the table there")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(f"bench: {error}")
