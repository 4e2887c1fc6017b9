"""The result of a simulation: figures as JSON, a table for the terminal, and the one plot."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from training.simulate.learning_curve import Curve, plot_learning_curve
from training.simulate.scenario import Scenario
from training.simulate.simulation import ArmRun
from training.simulate.world import Floats

FIXED_ARM = "the first bundle, fixed"


@dataclass(frozen=True, slots=True, eq=False)
class SimulationResult:
    """The result of a simulation.

    Args:
        scenario: Scenario that was simulated.
        requests_a_day: Shape (days,); number of requests.
        n_held_out: Number of held-out prompts; they judge every arm on every day.
        runs: Runs, one for each arm.
        n_explored, explored_usd: Number of requests that the exploring arm explored, and their expected loss, USD.
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
        titles = (
            "regret, USD",
            "±",
            "saved against fixed",
            "once a lane got worse",
            "on its own traffic",
            "last day, USD",
        )
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
        """Write cumulative regret by day as a PNG; shades are one standard error over held-out prompts."""
        curves = []
        for run in self.runs:
            total, error = run.cumulative_usd(self.requests_a_day), run.cumulative_std_usd(self.requests_a_day)
            curves.append(Curve(run.name, total, total - error, total + error))
        plot_learning_curve(
            path, self.scenario, self.requests_a_day, curves, "shades: one standard error over held-out prompts"
        )

    def _figures(self, run: ArmRun) -> dict[str, object]:
        return {
            "regret_usd": _rounded(run.cumulative_usd(self.requests_a_day)),
            "regret_std_usd": _rounded(run.cumulative_std_usd(self.requests_a_day)),
            "traffic_regret_usd": round(float(run.traffic_regret_usd.sum()), 6),
            "quality": _rounded(run.quality),
            "cost_usd": _rounded(run.cost_usd),
            "bundles": run.bundles,
        }


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 8) for value in values]
