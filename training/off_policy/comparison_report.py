"""Shows a comparison: as tables in the terminal, and as JSON for programs."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from router.verdict import Interval
from training.off_policy.comparison import METRICS, Comparison, Metric, PolicyJudgement

_TITLES: dict[Metric, str] = {
    "quality": "quality",
    "cost_usd": "cost, USD/1,000",
    "latency_ms": "latency, ms",
    "utility_usd": "utility, USD/1,000",
}
_SCALES: dict[Metric, float] = {"quality": 1.0, "cost_usd": 1_000.0, "latency_ms": 1.0, "utility_usd": 1_000.0}
_DIGITS: dict[Metric, int] = {"quality": 3, "cost_usd": 3, "latency_ms": 0, "utility_usd": 3}


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print the figures, the support in the logs, the refusals and the notes."""
    settings = comparison.settings
    console.print(_figures(comparison))
    console.print(
        f"[dim]{settings.method}, {settings.interval} intervals of {settings.level:.0%}; a good answer is worth "
        f"{settings.value_usd:g} USD if the caller did not state a value.[/]"
    )
    console.print(_support(comparison))
    console.print(_lanes(comparison))
    for line in refusal_lines(comparison):
        console.print(line, style="yellow", markup=False)
    for note in comparison.notes:
        console.print(f"Note: {note}.", style="dim", markup=False)


def refusal_lines(comparison: Comparison) -> Iterator[str]:
    """Yield a line for each reason why the logs cannot tell, with the metrics that it concerns."""
    for judged in (comparison.first, comparison.second, comparison.difference):
        metrics_of: dict[str, list[str]] = {}
        for metric, reasons in judged.refusals.items():
            for reason in reasons:
                metrics_of.setdefault(reason, []).append(_TITLES[metric].partition(",")[0])
        for reason, metrics in metrics_of.items():
            yield f"{judged.name}: the logs cannot tell {', '.join(metrics)}: {reason}."


def comparison_json(comparison: Comparison) -> dict[str, object]:
    """Return the comparison as plain values, in the units of the metrics' names (per request, not per 1,000)."""
    settings = comparison.settings
    return {
        "format_version": 1,
        "method": settings.method,
        "interval": settings.interval,
        "level": settings.level,
        "value_usd": settings.value_usd,
        "latency_usd_per_s": settings.latency_usd_per_s,
        "first": _judged_json(comparison.first),
        "second": _judged_json(comparison.second),
        "difference": _judged_json(comparison.difference),
        "notes": list(comparison.notes),
    }


def _judged_json(judged: PolicyJudgement) -> dict[str, object]:
    support = judged.diagnostics
    return {
        "policy": judged.name,
        "metrics": {
            metric: {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
            for metric, interval in judged.intervals.items()
        },
        "refusals": {metric: list(reasons) for metric, reasons in judged.refusals.items()},
        "diagnostics": {
            "requests": support.n_requests,
            "judged": support.n_judged,
            "conversations": support.n_conversations,
            "effective": support.effective,
            "effective_judged": support.effective_judged,
            "largest_share": support.largest_share,
            "mean_weight": support.mean_weight,
            "unsupported": support.unsupported,
            "rare": support.rare,
            "disagreement": support.disagreement,
            "lanes": {
                lane.lane_id: {"logged": lane.logged, "wanted": lane.wanted, "judged": lane.n_judged}
                for lane in support.lanes
            },
        },
    }


def _figures(comparison: Comparison) -> Table:
    table = Table(title="What each would have got", title_justify="left")
    table.add_column("", no_wrap=True)
    for metric in METRICS:
        table.add_column(_TITLES[metric], justify="right", no_wrap=True)
    for title, judged, is_signed in (
        (comparison.first.name, comparison.first, False),
        (comparison.second.name, comparison.second, False),
        ("first − second", comparison.difference, True),
    ):
        table.add_row(title, *(_cell(judged, metric, is_signed) for metric in METRICS))
    return table


def _cell(judged: PolicyJudgement, metric: Metric, is_signed: bool) -> str:
    interval = judged.intervals.get(metric)
    if interval is None:
        return "cannot tell" if metric in judged.refusals else "–"
    return span_text(interval, _SCALES[metric], _DIGITS[metric], is_signed)


def span_text(interval: Interval, scale: float = 1.0, digits: int = 3, is_signed: bool = False) -> str:
    """Return `0.712 (0.690 to 0.733)`."""
    form = f"{'+' if is_signed else ''}.{digits}f"
    estimate, low, high = (format(value * scale, form) for value in (interval.estimate, interval.low, interval.high))
    return f"{estimate} ({low} to {high})"


def _support(comparison: Comparison) -> Table:
    headings = (
        "requests",
        "judged",
        "effective",
        "effective, judged",
        "largest share",
        "mean weight",
        "not drawable",
        "rarely drawn",
        "apart",
    )
    table = Table(title="What the logs hold of them", title_justify="left")
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    for title, judged in (
        (comparison.first.name, comparison.first),
        (comparison.second.name, comparison.second),
        ("first − second", comparison.difference),
    ):
        row = judged.diagnostics
        apart = row.disagreement
        table.add_row(
            title,
            f"{row.n_requests:,}",
            f"{row.n_judged:,}",
            f"{row.effective:,.0f}",
            f"{row.effective_judged:,.0f}",
            f"{row.largest_share:.1%}",
            "" if apart is not None else f"{row.mean_weight:.2f}",
            f"{row.unsupported:.1%}",
            f"{row.rare:.1%}",
            "" if apart is None else f"{apart:.0%}",
        )
    return table


def _lanes(comparison: Comparison) -> Table:
    table = Table(title="How often each lane was drawn, and would be", title_justify="left")
    table.add_column("lane", no_wrap=True)
    for heading in ("logged", "first", "second", "judged answers"):
        table.add_column(heading, justify="right")
    second = {lane.lane_id: lane for lane in comparison.second.diagnostics.lanes}
    first = {lane.lane_id: lane for lane in comparison.first.diagnostics.lanes}
    for lane_id in dict.fromkeys([*first, *second]):
        lane = first.get(lane_id) or second[lane_id]
        shares = [f"{side[lane_id].wanted:.1%}" if lane_id in side else "0.0%" for side in (first, second)]
        table.add_row(lane_id, f"{lane.logged:.1%}", *shares, f"{lane.n_judged:,}")
    return table
