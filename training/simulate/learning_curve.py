"""The one plot of a simulation: cumulative regret of each arm against the requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.atomic_write import replace_file
from training.simulate.scenario import Scenario
from training.simulate.world import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Palette of Okabe and Ito (2008), for readers who do not see all colours; in the order of the arms.
_COLOURS = ("#0072B2", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
_ORACLE_COLOUR = "#999999"


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The regret of one arm.

    Args:
        name: Name of the arm.
        total, low, high: Shape (days,), USD; regret summed up to the end of each day, and the ends of its shade.
    """

    name: str
    total: Floats
    low: Floats
    high: Floats


def plot_learning_curve(
    path: Path, scenario: Scenario, requests_a_day: Floats, curves: Sequence[Curve], note: str
) -> None:
    """Write cumulative regret by day as a PNG, in one step.

    Args:
        path: File to write.
        scenario: Scenario of the simulation.
        requests_a_day: Shape (days,); number of requests.
        curves: Curves, one for each arm.
        note: Meaning of the shades.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.2), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    requests = _from_zero(np.cumsum(requests_a_day))
    others = iter(_COLOURS)
    for curve in curves:
        colour = _ORACLE_COLOUR if curve.name == "oracle" else next(others)
        panel.plot(requests, _from_zero(curve.total), color=colour, linewidth=2, label=curve.name)
        panel.fill_between(
            requests, _from_zero(curve.low), _from_zero(curve.high), color=colour, alpha=0.15, linewidth=0
        )
    _mark_events(panel, scenario, requests)
    panel.set_xlabel(f"requests ({note})")
    panel.set_ylabel("cumulative regret against the oracle, USD")
    panel.set_title(
        f"A good answer is worth {scenario.worth_usd:g} USD, {scenario.feedback_share:.0%} of answers are judged"
    )
    panel.set_ylim(bottom=0)
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="upper left")
    replace_file(path, lambda stream: figure.savefig(stream, format="png", metadata={"Software": None}))


def _from_zero(values: Floats) -> Floats:
    return np.concatenate([np.zeros(1), values])


def _mark_events(panel: "Axes", scenario: Scenario, requests: Floats) -> None:
    notes: dict[int, list[str]] = {}
    for arrival in scenario.arrivals:
        notes.setdefault(arrival.day, []).append(f"{arrival.model_name} arrives")
    for change in scenario.price_changes:
        notes.setdefault(change.day, []).append(f"{change.model_name}: price × {change.factor:g}")
    for degradation in scenario.degradations:
        notes.setdefault(degradation.day, []).append(f"{degradation.model_name} gets worse")
    for day, words in notes.items():
        if day < scenario.n_days:
            panel.axvline(float(requests[day]), color="#BBBBBB", linewidth=0.9, linestyle=":", zorder=0)
            panel.annotate(
                "\n".join(words),
                (float(requests[day]), 0.01),
                xycoords=("data", "axes fraction"),
                fontsize=7,
                rotation=90,
                va="bottom",
                ha="right",
                color="#555555",
                bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5},
            )
