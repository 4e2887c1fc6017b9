"""Two small pictures, one panel per pool: stated against true quality, and the loss by difficulty."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.atomic_write import replace_file
from training.evaluation.evaluate import PoolReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREY = "#0072B2", "#E69F00", "#777777"
_COLOURS = {"llmdeal": _BLUE, "kNN-100": _ORANGE, "best single": _GREY}


def plot_reliability(reports: Sequence[PoolReport], path: Path) -> None:
    """Write stated probabilities against shares of good answers as a PNG; dots grow with the number of answers."""
    figure, panels = _panels(len(reports))
    for panel, report in zip(panels, reports, strict=True):
        bins = report.reliability
        panel.plot([0, 1], [0, 1], color=_GREY, linestyle=":", linewidth=1.2)
        filled = bins.answers > 0
        panel.plot(bins.stated[filled], bins.graded[filled], color=_BLUE, linewidth=1.4, zorder=2)
        sizes = 12 + 220 * bins.answers[filled] / bins.answers.max()
        panel.scatter(
            bins.stated[filled], bins.graded[filled], s=sizes, color=_BLUE, alpha=0.75, zorder=3, edgecolors="white"
        )
        error = report.judged.measures["llmdeal"].ece
        panel.set_title(f"{report.judged.pool.source}: calibration error {error:.3f}", fontsize=11)
        panel.set_xlabel("stated P(good answer)")
        panel.set_xlim(0, 1)
        panel.set_ylim(0, 1)
        panel.set_aspect("equal")
    panels[0].set_ylabel("share of good answers")
    _save(figure, path)


def plot_regret(reports: Sequence[PoolReport], path: Path) -> None:
    """Write the loss against the oracle, by decile of believed difficulty, as a PNG."""
    figure, panels = _panels(len(reports))
    for panel, report in zip(panels, reports, strict=True):
        for name, colour in _COLOURS.items():
            if name in report.regret.lost:
                panel.plot(
                    np.arange(1, 11),
                    report.regret.lost[name] * 100,
                    color=colour,
                    marker="o",
                    markersize=3.5,
                    label=name,
                )
        panel.set_title(report.judged.pool.source, fontsize=11)
        panel.set_xlabel("decile of believed difficulty, easiest first")
        panel.set_xticks(range(1, 11))
        panel.set_ylim(bottom=0)
    panels[0].set_ylabel("lost against the oracle, score points x 100")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    _save(figure, path)


def _panels(count: int) -> "tuple[Figure, Sequence[Axes]]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * count, 3.9), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, count, squeeze=False)[0]
    for panel in panels:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _save(figure: "Figure", path: Path) -> None:
    replace_file(path, lambda stream: figure.savefig(stream, format="png", metadata={"Software": None}))
