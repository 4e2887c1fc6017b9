"""The figures as tables, for the terminal and as Markdown, and the targets, met or missed."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench.decision import Timing
from bench.measure import CONNECTIONS, Round
from bench.mock_upstream import STREAM_CHUNKS
from bench.subjects import BASELINE, BUDGETED, LITELLM, LLMDEAL, MOCK, PEERS, PLAIN

Rows = list[list[str]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    Args:
        name: Name of the figure, with its unit.
        read: Function that takes the figure from a round.
        digits: Number of digits after the point.
        more_is_better: Whether a larger value is better; None: no ratio is shown.
        added: Name of a row below it with what each subject adds to the mock alone; empty: no row.
    """

    name: str
    read: Callable[[Round], float]
    digits: int
    more_is_better: bool | None
    added: str = ""


FIGURES = (
    Figure(f"requests/s, {CONNECTIONS} connections", lambda one: one.per_second, 0, True),
    Figure(f"p50 ms, {CONNECTIONS} connections", lambda one: one.p50_ms, 2, False),
    Figure(f"p99 ms, {CONNECTIONS} connections", lambda one: one.p99_ms, 2, False),
    Figure("p50 ms, 1 connection", lambda one: one.single_p50_ms, 3, False, "added to p50, 1 connection, ms"),
    Figure("p99 ms, 1 connection", lambda one: one.single_p99_ms, 3, False),
    Figure(
        f"streams/s of {STREAM_CHUNKS} chunks, {CONNECTIONS} connections", lambda one: one.streams_per_second, 0, True
    ),
    Figure("the same across two dialects", lambda one: one.across_per_second, 0, True),
    Figure(f"chunks/s passed on, {CONNECTIONS} connections", lambda one: one.chunks_per_second, 0, True),
    Figure("p50 to the first chunk ms, 1 connection", lambda one: one.first_chunk_p50_ms, 3, False, "added to it, ms"),
    Figure("processor µs per request", lambda one: one.cpu_us, 0, False),
    Figure("processor µs per stream", lambda one: one.stream_cpu_us, 0, False),
    Figure("memory after load, MB", lambda one: one.rss_mb, 0, False),
    Figure("start to first answer, s", lambda one: one.first_answer_s, 2, False),
    Figure("right answers", lambda one: one.n_answers, 0, None),
    Figure("errors", lambda one: one.errors.total(), 0, None),
)


@dataclass(frozen=True, slots=True)
class Goal:
    """A target and its result.

    Args:
        name: Description of the target.
        measured: Measured value; NaN: not measured.
        is_met: Whether the target is met; None: not measured.
    """

    name: str
    measured: float
    is_met: bool | None


def goals(rounds: Mapping[str, Round]) -> list[Goal]:
    """Return the gateway's targets and results."""
    ours, litellm = rounds[LLMDEAL], rounds.get(LITELLM)
    times_litellm = ours.per_second / litellm.per_second if litellm and litellm.per_second else math.nan
    budgeted = rounds.get(BUDGETED)
    kept = budgeted.per_second / ours.per_second if budgeted and ours.per_second else math.nan
    targets = [
        ("with budgets at least 85% of the requests/s", kept, kept >= 0.85),
        ("at least 2,500 requests/s", ours.per_second, ours.per_second >= 2_500),
        ("at least 30 times LiteLLM's requests/s", times_litellm, times_litellm >= 30),
        ("at least 1,200 streams/s, one dialect", ours.streams_per_second, ours.streams_per_second >= 1_200),
        ("at least 600 streams/s across two", ours.across_per_second, ours.across_per_second >= 600),
        ("p50 at 1 connection below 1 ms", ours.single_p50_ms, ours.single_p50_ms < 1),
        ("less than 150 MB of memory", ours.rss_mb, ours.rss_mb < 150),
        ("first answer within 2 s", ours.first_answer_s, ours.first_answer_s <= 2),
    ]
    return [Goal(name, value, None if math.isnan(value) else is_met) for name, value, is_met in targets]


def figure_rows(rounds: Mapping[str, Round]) -> Rows:
    """Return the table of all subjects, heading first, and how many times better the gateway is than the others."""
    others = [name for name in (PLAIN, LITELLM) if name in rounds]
    rows = [["", *rounds, *(f"vs {name}" for name in others)]]
    for figure in FIGURES:
        values = [_shown(figure.read(one), figure.digits) for one in rounds.values()]
        rows.append([figure.name, *values, *(_ratio(figure, rounds[LLMDEAL], rounds[name]) for name in others)])
        if figure.added:
            rows.append([figure.added, *_added(figure, rounds), *([""] * len(others))])
    return rows


def _added(figure: Figure, rounds: Mapping[str, Round]) -> list[str]:
    baseline = figure.read(rounds[MOCK])
    return ["" if name == MOCK else _shown(figure.read(one) - baseline, figure.digits) for name, one in rounds.items()]


def peer_rows(rounds: Mapping[str, Round]) -> Rows:
    """Return the table of proxies that only forward, heading first, with the gateway's figures as a share of theirs."""
    ours = rounds[LLMDEAL]
    rows = [
        ["", "requests/s", "llmdeal's share", "streams/s", "llmdeal's share", "processor µs per stream", "memory, MB"]
    ]
    for name in (PLAIN, *PEERS, LLMDEAL):
        one = rounds[name]
        rows.append(
            [
                name,
                _shown(one.per_second, 0),
                f"{ours.per_second / one.per_second:.2f}",
                _shown(one.streams_per_second, 0),
                f"{ours.streams_per_second / one.streams_per_second:.2f}",
                _shown(one.stream_cpu_us, 0),
                _shown(one.rss_mb, 0),
            ]
        )
    return rows


def baseline_rows(rounds: Mapping[str, Sequence[Round]]) -> Rows:
    """Return the table of another build, heading first: medians, and how many times better this build is.

    The ratio is the median of the ratios round by round, so that a machine that changes its speed does not count.
    """
    ours, theirs = rounds[LLMDEAL], rounds[BASELINE]
    rows = [["", "baseline", "this build", "times better", "least and most"]]
    for figure in FIGURES:
        if figure.more_is_better is None:
            continue
        pairs = [(figure.read(former), figure.read(one)) for former, one in zip(theirs, ours, strict=True)]
        ratios = [one / former if figure.more_is_better else former / one for former, one in pairs]
        medians = [statistics.median(values) for values in zip(*pairs, strict=True)]
        shown = [_shown(value, figure.digits) for value in medians]
        rows.append([figure.name, *shown, f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f}–{max(ratios):.2f}"])
    return rows


def goal_rows(targets: Sequence[Goal]) -> Rows:
    """Return the table of targets, heading first."""
    words = {True: "met", False: "MISSED", None: "not measured"}
    return [["target", "measured", ""], *([goal.name, f"{goal.measured:,.2f}", words[goal.is_met]] for goal in targets)]


def decision_rows(timings: Sequence[Timing]) -> Rows:
    """Return the table of the timings of the decision, heading first."""
    heading = ["step", "words", "p50 µs", "p99 µs"]
    return [
        heading,
        *([timing.step, str(timing.words), f"{timing.p50_us:.0f}", f"{timing.p99_us:.0f}"] for timing in timings),
    ]


def print_table(console: Console, title: str, rows: Rows) -> None:
    """Print one table."""
    table = Table(title=title, title_justify="left")
    for place, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if place else "left")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)


def to_markdown(rows: Rows) -> str:
    """Return one table as Markdown."""
    heading, *body = rows
    rule = ["---", *(["---:"] * (len(heading) - 1))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, rule, *body)) + "\n"


def _shown(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:,.{digits}f}"


def _ratio(figure: Figure, ours: Round, theirs: Round) -> str:
    """Return how many times better ours is; a ratio below 1 is worse."""
    if figure.more_is_better is None:
        return ""
    above, below = figure.read(ours), figure.read(theirs)
    if not figure.more_is_better:
        above, below = below, above
    if math.isnan(above) or math.isnan(below):
        return ""
    return f"{above / below:,.1f}x" if below else "—"
