"""The quality-cost plot: one panel per pool, mean cost against mean score, in a colour-blind-safe palette."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.atomic_write import replace_file
from training.corpus.routing_measures import Floats
from training.evaluation.bundle_evaluation import BEST_SINGLE, ORACLE, OURS, RANDOM_MIX
from training.evaluation.evaluate import PoolReport

# Palette of Okabe and Ito (2008), for readers who do not see all colours.
_STYLES: dict[str, dict[str, object]] = {
    ORACLE: {"color": "#999999", "linestyle": ":", "linewidth": 1.5},
    RANDOM_MIX: {"color": "#56B4E9", "linestyle": "--", "linewidth": 1.2},
    "kNN-100": {"color": "#E69F00", "linewidth": 1.5},
    "clusters-60": {"color": "#CC79A7", "linewidth": 1.2},
    "linear": {"color": "#009E73", "linewidth": 1.2},
    OURS: {"color": "#0072B2", "linewidth": 2.6},
}


def plot_quality_cost(reports: Sequence[PoolReport], path: Path, title: str) -> None:
    """Write the plot as a PNG in one step; 90% of the redraws of the prompts put llmdeal's line in the shade."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(5.2 * len(reports), 4.9), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(reports), squeeze=False)[0]
    for panel, report in zip(panels, reports, strict=True):
        evaluation, confidence = report.judged, report.confidence
        singles = evaluation.curves[BEST_SINGLE] * (1000, 100)
        panel.scatter(*singles.T, s=22, color="#444444", zorder=3, label="single models")
        for name, style in _STYLES.items():
            if name not in evaluation.curves:
                continue
            frontier = _frontier(evaluation.curves[name]) * (1000, 100)
            panel.plot(*frontier.T, label=name, **style)
        # Beyond its last point a curve has no meaning.
        drawn = confidence.budgets <= evaluation.curves[OURS][:, 0].max()
        low, high = confidence.band[:, drawn] * 100
        panel.fill_between(
            confidence.budgets[drawn] * 1000, low, high, color=_STYLES[OURS]["color"], alpha=0.15, linewidth=0
        )
        panel.set_xscale("log")
        panel.set_title(
            f"{evaluation.pool.source}: {len(evaluation.pool.rows):,} prompts, {len(singles)} models", fontsize=11
        )
        panel.set_xlabel("mean cost of 1,000 prompts (log)")
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        panel.xaxis.set_major_formatter("${x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        # Models far from the frontier may fall below the picture; the table shows all of them.
        lowest = min(float(_frontier(evaluation.curves[name])[0, 1]) for name in (OURS, BEST_SINGLE)) * 100
        panel.set_ylim(max(lowest - 8, 0), min(float(evaluation.curves[ORACLE][:, 1].max()) * 100 + 3, 101))
    panels[0].set_ylabel("mean score, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=7, frameon=False)
    figure.suptitle(title, fontsize=12, fontweight="bold")
    replace_file(path, lambda stream: figure.savefig(stream, format="png", metadata={"Software": None}))


def _frontier(curve: Floats) -> Floats:
    """Return the points of a curve that no cheaper point beats, by rising cost."""
    order = np.lexsort((-curve[:, 1], curve[:, 0]))
    ordered = curve[order]
    best_before = np.maximum.accumulate(np.concatenate([[-np.inf], ordered[:-1, 1]]))
    return ordered[ordered[:, 1] > best_before]
