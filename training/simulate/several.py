"""One scenario with several seeds: other splits, orders, draws and fits each time, so that what an arm gains can be told from luck."""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.table import Table

from training.progress import Progress, SilentProgress
from training.simulate.learning_curve import Curve, plot_learning_curve
from training.simulate.result import FIXED_ARM, SimulationResult
from training.simulate.run import FIGURES_FILE, PLOT_FILE, SimulationPlan, simulate
from training.simulate.world import Floats


@dataclass(frozen=True, slots=True, eq=False)
class SeveralResults:
    """The same fortnight, several times.

    Args:
        by_seed: Seed -> what came of it; at least two.
    """

    by_seed: Mapping[int, SimulationResult]

    @property
    def results(self) -> Sequence[SimulationResult]:
        """In the order of their seeds."""
        return [self.by_seed[seed] for seed in sorted(self.by_seed)]

    def totals(self, days: slice = slice(None)) -> dict[str, Floats]:
        """Return each arm's regret on some days, USD, by seed: name -> shape (seeds,)."""
        names = [run.name for run in self.results[0].runs]
        return {name: np.array([_of_days(result, name, days) for result in self.results]) for name in names}

    def table(self) -> Table:
        """Return the arms side by side: means over the seeds, with standard errors over them."""
        scenario = self.results[0].scenario
        worse_from = min((event.day for event in scenario.degradations), default=scenario.n_days)
        parts = (slice(None), slice(0, worse_from), slice(worse_from, None))
        titles = (
            "regret, USD",
            "saved against fixed",
            "until a lane got worse",
            "from then on",
            "last day, USD",
            "seeds ahead of fixed",
        )
        shown = Table("arm", *titles)
        for column in shown.columns[1:]:
            column.justify = "right"
        by_part, last = [self.totals(part) for part in parts], self.totals(slice(-1, None))
        for name, total in by_part[0].items():
            saved = [totals[FIXED_ARM] - totals[name] for totals in by_part]
            ahead = "" if name == FIXED_ARM else f"{int((saved[0] > 0).sum())} of {len(total)}"
            gains = ["" if name == FIXED_ARM else _mean_and_error(values, "+.2f") for values in saved]
            shown.add_row(name, _mean_and_error(total, ".2f"), *gains, _mean_and_error(last[name], ".3f"), ahead)
        return shown

    def write(self, path: Path) -> None:
        """Write each arm's regret by seed as JSON."""
        found = {name: [round(float(value), 6) for value in values] for name, values in self.totals().items()}
        path.write_text(
            json.dumps({"seeds": sorted(self.by_seed), "regret_usd": found}, indent=1) + "\n", encoding="utf-8"
        )

    def plot(self, path: Path) -> None:
        """Write cumulative regret, the mean over the seeds, as a PNG; shades go from the least to the most of any seed."""
        first = self.results[0]
        curves = []
        for place, run in enumerate(first.runs):
            totals = np.stack([result.runs[place].cumulative_usd(result.requests_a_day) for result in self.results])
            curves.append(Curve(run.name, totals.mean(axis=0), totals.min(axis=0), totals.max(axis=0)))
        note = f"mean of {len(self.by_seed)} seeds; shades: from the least to the most"
        plot_learning_curve(path, first.scenario, first.requests_a_day, curves, note)


def simulate_seeds(plan: SimulationPlan, n_seeds: int, progress: Progress) -> SeveralResults:
    """Simulate with the scenario's seed and the ones after it, several at once, and write what came of all of them, too.

    Args:
        plan: Of each; its folder gets one for each seed.
        n_seeds: How many.
        progress: Where to show how many are over.

    Raises:
        TrainingError: As `simulate`.
    """
    seeds = range(plan.scenario.seed, plan.scenario.seed + n_seeds)
    plans = {
        seed: replace(plan, out=plan.out / f"seed-{seed}", scenario=replace(plan.scenario, seed=seed)) for seed in seeds
    }
    found = {}
    # Forked processes would inherit the threads of libraries that were used before.
    pool = ProcessPoolExecutor(min(n_seeds, os.cpu_count() or 1), get_context("spawn"), _use_one_thread)
    with pool, progress.stage(f"{n_seeds} seeds", n_seeds) as advance:
        under_way = {pool.submit(simulate, each, SilentProgress()): seed for seed, each in plans.items()}
        for future in as_completed(under_way):
            found[under_way[future]] = future.result()
            advance(1)
    several = SeveralResults(found)
    several.write(plan.out / FIGURES_FILE)
    several.plot(plan.out / PLOT_FILE)
    return several


def _use_one_thread() -> None:
    """Keep torch from starting as many threads as there are cores in each of as many processes."""
    import torch

    torch.set_num_threads(1)


def _of_days(result: SimulationResult, name: str, days: slice) -> float:
    run = next(run for run in result.runs if run.name == name)
    return float((result.requests_a_day[days] * run.regret_usd[days].mean(axis=1)).sum())


def _mean_and_error(values: Floats, form: str) -> str:
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():{form}} ± {error:{form.removeprefix('+')}}"
