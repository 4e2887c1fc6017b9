"""Prints an evaluation as tables on the terminal."""

from rich.console import Console
from rich.table import Table

from training.corpus.routing_measures import RoutingMeasures
from training.evaluation.evaluate import BundleEvaluation, PoolReport
from training.evaluation.new_models import WAY_TITLES

_HEADINGS = ("router", "gap closed", "at 95%", "at 98%", "at 100%", "best", "AUC", "Brier", "ECE", "cost bias")


def print_evaluation(console: Console, evaluation: BundleEvaluation) -> None:
    """Print every table."""
    for report in evaluation.pools:
        console.print(_pool_table(report))
    if evaluation.work:
        console.print(_work_table(evaluation))
    console.print(_stability_table(evaluation))
    console.print(_bar_table(evaluation))
    if evaluation.left_out:
        console.print(_left_out_table(evaluation))
    if evaluation.new_models:
        console.print(_new_models_table(evaluation))
    if evaluation.ablations:
        console.print(_ablation_table(evaluation))
    cost = evaluation.decision
    console.print(
        f"A decision between {cost.lanes} lanes took {cost.p50_us:.0f} µs (p50) and {cost.p99_us:.0f} µs (p99) "
        f"on {cost.prompts:,} prompts."
    )


def measure_cells(row: RoutingMeasures) -> list[str]:
    """Return the cells of a row after the router's name."""
    saved = [f"{share:.0%}" if share != -1 else "never" for share in (row.save_95, row.save_98, row.save_100)]
    scored = [f"{value:.3f}" if value == value else "–" for value in (row.auc, row.brier, row.ece)]
    bias = f"{row.cost_bias:+.1%}" if row.cost_bias == row.cost_bias else "–"
    return [f"{row.gap_closed:.3f}", *saved, f"{row.best_score:.1%}", *scored, bias]


def _table(title: str, *headings: str) -> Table:
    shown = Table(title=title, title_justify="left")
    for place, heading in enumerate(headings):
        shown.add_column(heading, justify="left" if place == 0 else "right", no_wrap=place == 0)
    return shown


def _pool_table(report: PoolReport) -> Table:
    pool = report.judged.pool
    shown = _table(
        f"{pool.source}: {len(pool.rows):,} prompts, {len(pool.trained_names)} models; cost saved at shares", *_HEADINGS
    )
    for name, row in report.judged.measures.items():
        shown.add_row(name, *measure_cells(row))
    return shown


def _work_table(evaluation: BundleEvaluation) -> Table:
    learners = list(evaluation.work[0].brier)
    headings = ("source", "prompts", *(f"Brier: {name}" for name in learners), "gap closed", "lengths off, octaves")
    shown = _table("Catalogue models, on prompts of the collection that were kept aside", *headings)
    for row in evaluation.work:
        gap = "–" if row.pool is None else f"{row.pool.gaps[learners[0]]:.2f}"
        off = "–" if row.lengths is None else f"{row.lengths.off:.2f}"
        shown.add_row(row.source, str(row.prompts), *(f"{row.brier[name]:.3f}" for name in learners), gap, off)
    return shown


def _stability_table(evaluation: BundleEvaluation) -> Table:
    kinds = list(evaluation.pools[0].stability.kept)
    shown = _table(
        "Choices that stay the same, at half of the best single model's cost", "pool", *kinds, "models in use"
    )
    for report in evaluation.pools:
        row = report.stability
        shown.add_row(row.source, *(f"{row.kept[kind]:.0%}" for kind in kinds), f"{row.n_effective:.1f}")
    return shown


def _bar_table(evaluation: BundleEvaluation) -> Table:
    headings = ("pool", "bar", "kept", "saved", "kept by handfuls", "saved by them", "held in")
    shown = _table("Relative bars, on prompts that they were not solved on", *headings)
    for report in evaluation.pools:
        for row in report.bars:
            cells = (row.share, row.kept, row.saved, row.kept_by_handfuls, row.saved_by_handfuls)
            shown.add_row(row.source, *(f"{cell:.1%}" for cell in cells), f"{row.held:.0%} of {row.trials}")
    return shown


def _left_out_table(evaluation: BundleEvaluation) -> Table:
    headings = ("source", "by difficulty", "by length", "pairs", "kept by a bar of 95%")
    shown = _table("Sources never seen: share of the gap between a weak and the strongest model", *headings)
    for row in evaluation.left_out:
        shown.add_row(row.source, f"{row.gap_recovered:.3f}", f"{row.by_length:.3f}", str(row.pairs), f"{row.kept:.1%}")
    return shown


def _new_models_table(evaluation: BundleEvaluation) -> Table:
    headings = ("pool", "known by", "gap kept", "least", "Brier score lost", "models")
    shown = _table("Models never seen: share of the gap closed that a full fit gives", *headings)
    for row in evaluation.new_models:
        for way, kept in row.gap_kept.items():
            figures = (f"{kept:.1%}", f"{row.least_gap_kept[way]:.0%}", f"{row.brier_lost[way]:.4f}", str(row.models))
            shown.add_row(row.source, WAY_TITLES[way], *figures)
    return shown


def _ablation_table(evaluation: BundleEvaluation) -> Table:
    sources = [report.judged.pool.source for report in evaluation.pools]
    shown = _table("Gap closed with a part taken out", "part", *sources)
    shown.add_row("nothing", *(f"{report.judged.measures['llmdeal'].gap_closed:.3f}" for report in evaluation.pools))
    for part, measures in evaluation.ablations.items():
        shown.add_row(part, *(f"{measures[source]['gap_closed']:.3f}" for source in sources))
    return shown
