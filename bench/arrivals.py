"""Measures latency when callers ask at random moments: the gateway and the plain proxy, at several rates.

Run `python -m bench.arrivals [--rates 100 200 400] [--rounds 3] [--seconds 4] [--markdown FILE]`. The load of
`bench.run` asks as fast as answers come, which hides the time that a request waits for earlier ones. Here it counts.
The exit status is 1 if an answer is wrong.
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

Results = dict[tuple[str, int, str], list[LoadResult]]


def measure(rates: Sequence[int], rounds: int, seconds: float) -> Results:
    """Return (kind of answer, requests per second, subject) -> results of every round; the subjects take turns.

    Args:
        rates: Requests per second.
        rounds: Number of rounds.
        seconds: Length of each measurement.

    Raises:
        BenchError: A server did not start.
    """
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    results: Results = {}
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
            results.setdefault(key, []).append(apply_arrivals(target, rate, seconds, seed=number))
    return results


def latency_rows(results_by_case: Results) -> Rows:
    """Return the latencies as a table of medians over the rounds, heading first."""
    rows = [["", "per second", *(f"p{share * 100:.0f} ms" for share in _SHARES)]]
    for (kind, rate, name), results in results_by_case.items():
        medians = (statistics.median(result.percentile_ms(share) for result in results) for share in _SHARES)
        rows.append([f"{kind}, {name}", f"{rate:,}", *(f"{median:,.1f}" for median in medians)])
    return rows


def main() -> int:
    """Run the benchmark from the command line."""
    options = _read_options()
    console = Console() if sys.stdout.isatty() else Console(width=160)
    results_by_case = measure(options.rates, options.rounds, options.seconds)
    rows = latency_rows(results_by_case)
    print_table(console, "At random moments", rows)
    if options.markdown:
        options.markdown.write_text(to_markdown(rows))
    errors = sum((result.errors for results in results_by_case.values() for result in results), start=Counter[str]())
    if errors:
        console.print(f"[bold red]{errors.total()} WRONG ANSWERS: {dict(errors)}")
    return int(errors.total() > 0)


def _read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.arrivals", description="Latency at random moments, compared with a plain proxy."
    )
    parser.add_argument(
        "--rates", type=_positive, nargs="+", default=[100, 200, 400], help="requests per second (default: 100 200 400)"
    )
    parser.add_argument(
        "--rounds", type=_positive, default=3, help="number of rounds; the median is reported (default: 3)"
    )
    parser.add_argument("--seconds", type=_positive, default=4, help="length of each measurement (default: 4)")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="file to write the table to as well")
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
