"""What a simulation found: figures as JSON, a table for the terminal, and the one plot."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from training.atomic_write import replace_file
from training.simulate.scenario import Scenario
from training.simulate.simulation import ArmRun
from training.simulate.world import Floats

FIXED_ARM = "the first bundle, fixed"
# Okabe and Ito (2008), told apart by readers who do not see all colours; in the order of the arms.
_COLOURS = ("#0072B2", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
_ORACLE_COLOUR = "#999999"


@dataclass(frozen=True, slots=True, eq=False)
class SimulationResult:
    """A simulation, over.

    Args:
        scenario: What happened.
        requests_a_day: Shape (days,).
        n_held_out: Prompts that judged every arm on every day.
        runs: One for each arm.
        n_explored, explored_usd: Explored requests of the arm that explored, and what they were expected to give up.
    """

    scenario: Scenario
    requests_a_day: Floats
    n_held_out: int
    runs: Sequence[ArmRun]
    n_explored: int
    explored_usd: float

    def write(self, path: Path) -> None:
        """Write the figures as JSON."""
        content = {
            "scenario": asdict(self.scenario),
            "held_out_prompts": self.n_held_out,
            "explored_requests": self.n_explored,
            "explored_usd": round(self.explored_usd, 6),
            "arms": {run.name: self._figures(run) for run in self.runs},
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def table(self) -> Table:
        """Return the arms side by side."""
        titles = ("regret, USD", "±", "saved against fixed", "once a lane got worse", "on its own traffic", "last day, USD")
        shown = Table("arm", *titles, "quality, first day", "last day", "USD per 1,000")
        for column in shown.columns[1:]:
            column.justify = "right"
        fixed = next(run for run in self.runs if run.name == FIXED_ARM)
        worse_from = min((event.day for event in self.scenario.degradations), default=self.scenario.n_days)
        parts = (slice(0, worse_from), slice(worse_from, None))
        for run in self.runs:
            gains = [run.less_than(fixed, self.requests_a_day, part) for part in parts]
            shown.add_row(
                run.name,
                f"{run.cumulative_usd(self.requests_a_day)[-1]:.2f}",
                f"{run.cumulative_std_usd(self.requests_a_day)[-1]:.2f}",
                *("" if run is fixed else f"{gain:+.2f} ± {error:.2f}" for gain, error in gains),
                f"{run.traffic_regret_usd.sum():.2f}",
                f"{self.requests_a_day[-1] * run.regret_usd[-1].mean():.3f}",
                f"{run.quality[0]:.3f}",
                f"{run.quality[-1]:.3f}",
                f"{run.cost_usd.mean() * 1000:.3f}",
            )
        return shown

    def plot(self, path: Path) -> None:
        """Write cumulative regret by day as a PNG, whole or not at all; shades are one standard error over held-out prompts."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 5.2), layout="constrained", dpi=130)
        FigureCanvasAgg(figure)
        panel = figure.subplots()
        requests = np.concatenate([[0], np.cumsum(self.requests_a_day)])
        for run, colour in zip(self.runs, _colours(self.runs), strict=True):
            total = np.concatenate([[0], run.cumulative_usd(self.requests_a_day)])
            error = np.concatenate([[0], run.cumulative_std_usd(self.requests_a_day)])
            panel.plot(requests, total, color=colour, linewidth=2, label=run.name)
            panel.fill_between(requests, total - error, total + error, color=colour, alpha=0.15, linewidth=0)
        self._mark_events(panel, requests)
        panel.set_xlabel("requests")
        panel.set_ylabel("cumulative regret against the oracle, USD")
        panel.set_title(
            f"A good answer is worth {self.scenario.worth_usd:g} USD, {self.scenario.feedback_share:.0%} of answers are judged"
        )
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, loc="upper left")
        replace_file(path, lambda stream: figure.savefig(stream, format="png", metadata={"Software": None}))

    def _mark_events(self, panel: "object", requests: Floats) -> None:
        scenario = self.scenario
        told: dict[int, list[str]] = {}
        for arrival in scenario.arrivals:
            told.setdefault(arrival.day, []).append(f"{arrival.model_name} arrives")
        for change in scenario.price_changes:
            told.setdefault(change.day, []).append(f"{change.model_name}: price × {change.factor:g}")
        for degradation in scenario.degradations:
            told.setdefault(degradation.day, []).append(f"{degradation.model_name} gets worse")
        for day, words in told.items():
            if day < scenario.n_days:
                panel.axvline(requests[day], color="#BBBBBB", linewidth=0.9, linestyle=":", zorder=0)  # type: ignore[attr-defined]  # matplotlib is imported late
                panel.annotate(  # type: ignore[attr-defined]
                    "\n".join(words), (requests[day], 0.01), xycoords=("data", "axes fraction"), fontsize=7,
                    rotation=90, va="bottom", ha="right", color="#666666",
                )  # fmt: skip

    def _figures(self, run: ArmRun) -> dict[str, object]:
        return {
            "regret_usd": _rounded(run.cumulative_usd(self.requests_a_day)),
            "regret_std_usd": _rounded(run.cumulative_std_usd(self.requests_a_day)),
            "traffic_regret_usd": round(float(run.traffic_regret_usd.sum()), 6),
            "quality": _rounded(run.quality),
            "cost_usd": _rounded(run.cost_usd),
            "bundles": run.bundles,
        }


def _colours(runs: Sequence[ArmRun]) -> list[str]:
    others = iter(_COLOURS)
    return [_ORACLE_COLOUR if run.name == "oracle" else next(others) for run in runs]


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 8) for value in values]
