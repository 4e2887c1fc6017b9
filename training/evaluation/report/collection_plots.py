"""Pictures of what is believed of catalogue models: stated chances against grades, predicted against counted tokens.

Each source has a picture of its own in the page, so that a narrow window shows them one below the other. The same
panels side by side are one picture for a document.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.atomic_write import replace_file
from training.evaluation.bundle_evaluation import OURS
from training.evaluation.collection import SourceResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _GREY = "#0072B2", "#777777"
_PANEL = (3.3, 3.5)
_DPI, _DPI_OF_ALL = 120, 84
_FEWEST_JOINED = 10
_IN_A_ROW = 4


def calibration_picture(result: SourceResult) -> bytes:
    """Return one source's calibration as a PNG."""
    figure = _figure(1, 1)
    draw_calibration(figure.subplots(), result)
    return _png(figure)


def length_picture(result: SourceResult) -> bytes:
    """Return one source's lengths as a PNG; the source must have lengths."""
    figure = _figure(1, 1)
    draw_lengths(figure.subplots(), result)
    return _png(figure)


def plot_calibration(results: Sequence[SourceResult], path: Path) -> None:
    """Write the calibration of all sources as one PNG, four in a row."""
    n_rows = -(-len(results) // _IN_A_ROW)
    figure = _figure(n_rows, min(len(results), _IN_A_ROW), _DPI_OF_ALL)
    panels = figure.subplots(n_rows, min(len(results), _IN_A_ROW), squeeze=False).ravel()
    for panel, result in zip(panels, results, strict=False):
        draw_calibration(panel, result)
    for panel in panels[len(results) :]:
        panel.set_axis_off()
    replace_file(path, lambda stream: stream.write(_png(figure)))


def draw_calibration(panel: "Axes", result: SourceResult) -> None:
    """Draw stated chances against mean grades; a dot's number is the count of its cells.

    The line leaves out bins with under ten cells.
    """
    bins = result.calibration[OURS]
    panel.plot([0, 1], [0, 1], color=_GREY, linestyle=":", linewidth=1.2)
    is_joined = bins.cells >= _FEWEST_JOINED
    panel.plot(bins.stated[is_joined], bins.graded[is_joined], color=_BLUE, linewidth=1.2, zorder=2)
    sizes = 14 + 150 * bins.cells / bins.cells.max()
    panel.scatter(bins.stated, bins.graded, s=sizes, color=_BLUE, alpha=0.8, zorder=3, edgecolors="white")
    for stated, graded, cells in zip(bins.stated, bins.graded, bins.cells, strict=True):
        is_above = graded >= stated
        panel.annotate(
            f"{cells:,}",
            (stated, graded),
            xytext=(-5 if is_above else 5, 7 if is_above else -9),
            textcoords="offset points",
            fontsize=7,
            color="#444444",
            ha="right" if is_above else "left",
            va="center",
        )
    panel.set(
        title=f"{result.source}: calibration error {bins.error:.3f}",
        xlabel="stated P(good answer)",
        ylabel="mean grade, 0..1",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.05),
    )
    _tidy(panel)


def draw_lengths(panel: "Axes", result: SourceResult) -> None:
    """Draw predicted against counted tokens, both logarithmic; the band is one octave wide in both directions."""
    lengths = result.lengths
    if lengths is None:
        raise ValueError(f"{result.source} counts no tokens")
    both = np.concatenate([lengths.predicted, lengths.counted])
    ends = np.array([both.min() / 1.3, both.max() * 1.3])
    panel.fill_between(ends, ends / 2, ends * 2, color=_GREY, alpha=0.12, linewidth=0)
    panel.plot(ends, ends, color=_GREY, linestyle=":", linewidth=1.2)
    panel.scatter(lengths.counted, lengths.predicted, s=7, color=_BLUE, alpha=0.35, linewidth=0)
    panel.set(
        xscale="log",
        yscale="log",
        xlim=ends,
        ylim=ends,
        title=f"{result.source}: off by {lengths.off:.2f} octaves",
        xlabel=f"counted, {lengths.what}",
        ylabel=f"predicted, {lengths.what}",
    )
    _tidy(panel)


def _tidy(panel: "Axes") -> None:
    panel.title.set_fontsize(9.5)
    panel.tick_params(labelsize=8)
    panel.xaxis.label.set_fontsize(9)
    panel.yaxis.label.set_fontsize(9)
    panel.set_box_aspect(1)
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)


def _figure(n_rows: int, n_columns: int, dpi: int = _DPI) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_PANEL[0] * n_columns, _PANEL[1] * n_rows), layout="constrained", dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def _png(figure: "Figure") -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
