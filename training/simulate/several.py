"""Simulates one scenario with several seeds, to separate an arm's gain from luck.

Each seed has its own splits, order, draws and fits.
"""

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
    """The results of the same scenario with several seeds.

    Args:
        by_seed: Seed -> result; at least two.
    """

    by_seed: Mapping[int, SimulationResult]

    @property
    def results(self) -> Sequence[SimulationResult]:
        """Results in the order of their seeds."""
        return [self.by_seed[seed] for seed in sorted(self.by_seed)]

    def totals(self, days: slice = slice(None)) -> dict[str, Floats]:
        """Return each arm's regret on some days, USD, by seed: name -> shape (seeds,)."""
        names = [run.name for run in self.results[0].runs]
        return {name: np.array([_of_days(result, name, days) for result in self.results]) for name in names}

    def table(self) -> Table:
        """Return the arms side by side: means over the seeds, with their standard errors."""
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
        regrets = {name: [round(float(value), 6) for value in values] for name, values in self.totals().items()}
        path.write_text(
            json.dumps({"seeds": sorted(self.by_seed), "regret_usd": regrets}, indent=1) + "\n", encoding="utf-8"
        )

    def plot(self, path: Path) -> None:
        """Write the mean cumulative regret over the seeds as a PNG; shades go from the lowest seed to the highest."""
        first = self.results[0]
        curves = []
        for place, run in enumerate(first.runs):
            totals = np.stack([result.runs[place].cumulative_usd(result.requests_a_day) for result in self.results])
            curves.append(Curve(run.name, totals.mean(axis=0), totals.min(axis=0), totals.max(axis=0)))
        note = f"mean of {len(self.by_seed)} seeds; shades: from the lowest to the highest"
        plot_learning_curve(path, first.scenario, first.requests_a_day, curves, note)


def simulate_seeds(plan: SimulationPlan, n_seeds: int, progress: Progress) -> SeveralResults:
    """Simulate with the scenario's seed and the following ones, several at once, and also write their joint results.

    Args:
        plan: Plan of each simulation; its folder gets a folder for each seed.
        n_seeds: Number of seeds.
        progress: Display of the number of finished seeds.

    Raises:
        TrainingError: The same reasons as in `simulate`.
    """
    seeds = range(plan.scenario.seed, plan.scenario.seed + n_seeds)
    plans = {
        seed: replace(plan, out=plan.out / f"seed-{seed}", scenario=replace(plan.scenario, seed=seed)) for seed in seeds
    }
    results = {}
    # Forked processes would inherit the threads of libraries that are already in use.
    pool = ProcessPoolExecutor(min(n_seeds, os.cpu_count() or 1), get_context("spawn"), _use_one_thread)
    with pool, progress.stage(f"{n_seeds} seeds", n_seeds) as advance:
        under_way = {pool.submit(simulate, each, SilentProgress()): seed for seed, each in plans.items()}
        for future in as_completed(under_way):
            results[under_way[future]] = future.result()
            advance(1)
    several = SeveralResults(results)
    several.write(plan.out / FIGURES_FILE)
    several.plot(plan.out / PLOT_FILE)
    return several


def _use_one_thread() -> None:
    """Let torch use one thread in this process; there are already as many processes as cores."""
    import torch

    torch.set_num_threads(1)


def _of_days(result: SimulationResult, name: str, days: slice) -> float:
    run = next(run for run in result.runs if run.name == name)
    return float((result.requests_a_day[days] * run.regret_usd[days].mean(axis=1)).sum())


def _mean_and_error(values: Floats, form: str) -> str:
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():{form}} ± {error:{form.removeprefix('+')}}"
