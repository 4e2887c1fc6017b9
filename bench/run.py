"""Measures everything in one run and reports which targets hold.

Run `python -m bench.run [--quick] [--litellm PYTHON] [--peers PYTHON] [--baseline PYTHON] [--markdown FILE]`. The exit
status is 1 if a server did not start or an answer is wrong; with `--check` also if a target is missed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from bench.decision import Timing
from bench.evidence import Evidence, read_evidence
from bench.measure import FULL, QUICK, Durations, Round, measure, median_round
from bench.processes import BenchError, Cores, others_share, running_server
from bench.report import (
    baseline_rows,
    decision_rows,
    figure_rows,
    goal_rows,
    goals,
    peer_rows,
    print_table,
    to_markdown,
)
from bench.subjects import (
    BUDGETED,
    DATABASE_FILE,
    LITELLM,
    LLMDEAL,
    MOCK,
    PLAIN,
    Subject,
    baseline_subject,
    litellm_subject,
    llmdeal_subject,
    mock_subject,
    peer_subjects,
    plain_subject,
)


class Bench:
    """One run of the benchmark.

    All subjects take turns in several rounds, so that other work on the machine affects all of them.

    Args:
        cores: Cores of the processes.
        durations: Lengths of the loads.
        litellm_python: Python of LiteLLM's own environment; empty: LiteLLM is left out.
        peers_python: Python of the other proxies' own environment; empty: they are left out.
        baseline_python: Python of another build's own environment; empty: it is left out.
        folder: Folder for settings, logs and the telemetry database.
        console: Console that shows the progress.
    """

    def __init__(
        self,
        cores: Cores,
        durations: Durations,
        litellm_python: str,
        peers_python: str,
        baseline_python: str,
        folder: Path,
        console: Console,
    ) -> None:
        self._cores = cores
        self._durations = durations
        self._litellm_python = litellm_python
        self._peers_python = peers_python
        self._baseline_python = baseline_python
        self._folder = folder
        self._console = console
        self.rounds: dict[str, list[Round]] = {}
        self.evidence = Evidence(Counter())
        self.others_share = 0.0

    def run(self, n_rounds: int) -> dict[str, Round]:
        """Return the median round of every subject."""
        mock = mock_subject()
        with running_server(mock.command, {}, self._cores.load, mock.whole, self._folder / "mock.log") as server:
            for number in range(n_rounds):
                self.others_share = max(self.others_share, others_share())
                self._note(MOCK, number, measure(mock, server, self._durations))
                self._measure_all(mock.whole.url.removesuffix("/chat/completions"), number)
        return {name: median_round(rounds) for name, rounds in self.rounds.items()}

    def _measure_all(self, upstream: str, number: int) -> None:
        folder = self._folder / str(number)
        folder.mkdir()
        subjects = [
            plain_subject(upstream),
            llmdeal_subject(upstream, folder),
            llmdeal_subject(upstream, folder / "budgets", has_budgets=True),
        ]
        if self._litellm_python:
            subjects.append(litellm_subject(upstream, folder, self._litellm_python))
        if self._peers_python:
            subjects += peer_subjects(upstream, self._peers_python)
        if self._baseline_python:
            baseline = baseline_subject(upstream, folder / "baseline", self._baseline_python)
            subjects.insert(1 + number % 2, baseline)  # now before ours, now after it
        for subject in subjects:
            self._note(subject.name, number, self._measure(subject, folder))
        self.evidence += read_evidence(folder / DATABASE_FILE)

    def _measure(self, subject: Subject, folder: Path) -> Round:
        log = folder / "server.log"
        with running_server(subject.command, subject.environment, self._cores.server, subject.whole, log) as server:
            return measure(subject, server, self._durations)

    def _note(self, name: str, number: int, one: Round) -> None:
        self.rounds.setdefault(name, []).append(one)
        self._console.print(
            f"round {number + 1}  {name:26} {one.per_second:9,.0f} requests/s  {one.single_p50_ms:7.3f} ms  "
            f"{one.streams_per_second:6,.0f} streams/s  {one.rss_mb:5,.0f} MB"
        )
        if one.errors:
            self._console.print(f"[bold red]{name}: {one.errors.total()} WRONG ANSWERS: {dict(one.errors)}")


def time_decision(cores: Cores) -> list[Timing]:
    """Return the timings of the decision alone; a separate process takes them on the server's core."""
    command = ["taskset", "-c", str(cores.server), sys.executable, "-m", "bench.decision", "--json"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode != 0:
        raise BenchError(f"the decision alone could not be timed:\n{done.stderr[-3_000:]}")
    return [Timing(**timing) for timing in json.loads(done.stdout)]


def main() -> int:
    """Run the benchmark from the command line."""
    options = _read_options()
    console = Console() if sys.stdout.isatty() else Console(width=160)
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmdeal-bench-")))
        bench = Bench(
            cores, QUICK if options.quick else FULL, options.litellm, options.peers, options.baseline, folder, console
        )
        rounds = bench.run(1 if options.quick else options.rounds)
    timings = time_decision(cores)
    ordered = {name: rounds[name] for name in (MOCK, PLAIN, LITELLM, BUDGETED, LLMDEAL) if name in rounds}
    targets = goals(ordered)
    tables = {
        "Under load": figure_rows(ordered),
        **({"Compared with other proxies": peer_rows(rounds)} if options.peers else {}),
        **({"Compared with the baseline": baseline_rows(bench.rounds)} if options.baseline else {}),
        "Targets": goal_rows(targets),
        "The decision alone": decision_rows(timings),
    }
    for title, rows in tables.items():
        print_table(console, title, rows)
    shortfall = _report_evidence(console, bench, rounds[LLMDEAL])
    console.print(f"Other processes used {bench.others_share:.0%} of the processor before the busiest round.")
    if options.markdown:
        options.markdown.write_text("\n".join(f"## {title}\n\n{to_markdown(rows)}" for title, rows in tables.items()))
    n_errors = sum(one.errors.total() for one in rounds.values())
    if n_errors:
        console.print(f"[bold red]{n_errors} WRONG ANSWERS: these figures do not count")
    is_missed = any(goal.is_met is False for goal in targets)
    return int(n_errors > 0 or shortfall > 0 or (options.check and is_missed))


def _report_evidence(console: Console, bench: Bench, ours: Round) -> int:
    """Print a summary of the gateway's log; return the number of answers that are missing from it."""
    evidence = bench.evidence
    expected = ours.n_answers + len(bench.rounds[LLMDEAL])
    lanes = ", ".join(f"{lane} {count / evidence.stored_rows:.0%}" for lane, count in evidence.lanes.most_common())
    console.print(f"{LLMDEAL} logged {evidence.stored_rows:,} of {expected:,} answers; they came from {lanes}")
    return max(expected - evidence.stored_rows, 0)


def _read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description="The gateway under load, compared with a plain proxy and LiteLLM."
    )
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it runs and about how fast")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds; the median is reported (default: 3)")
    parser.add_argument(
        "--litellm",
        metavar="PYTHON",
        default=os.environ.get("LLMDEAL_BENCH_LITELLM", ""),
        help="Python of an environment with litellm[proxy]; or set LLMDEAL_BENCH_LITELLM",
    )
    parser.add_argument(
        "--peers",
        metavar="PYTHON",
        default=os.environ.get("LLMDEAL_BENCH_PEERS", ""),
        help="Python of an environment with the other proxies' clients; or set LLMDEAL_BENCH_PEERS",
    )
    parser.add_argument(
        "--baseline",
        metavar="PYTHON",
        default="",
        help="Python of an environment with another build of llmdeal; both builds take turns",
    )
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="file to write the tables to as well")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a target is missed")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(f"bench: {error}")
