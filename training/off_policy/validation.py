"""Checks the estimators and intervals on simulated traffic: `python -m training.off_policy.validation`.

The truth about simulated traffic is known. Each scenario is run many times. A challenger, the policy of the logged
beliefs, and their difference are judged. The challenger takes the best value by beliefs that the reward model does not
see. The tables show the errors of the estimates of quality, and how often the 95% intervals contain the truth.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from training.off_policy.comparison import ComparisonSettings, PolicyJudge, compare_policies
from training.off_policy.diagnostics import diagnose_difference, refusals
from training.off_policy.estimators.registry import ESTIMATORS
from training.off_policy.evaluation_policies import GreedyPolicy
from training.off_policy.intervals.registry import INTERVALS
from training.off_policy.replay import read_pool, replay
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario, Traffic, with_beliefs
from training.telemetry.logged_requests import LoggedRequests

WORTH_USD = 0.03
_BUNDLE = Path(__file__).parents[2] / "models" / "llmdeal-base-2"


@dataclass(frozen=True, slots=True)
class GradedScenario:
    """Real prompts, beliefs and grades of a source of a bundle, drawn and judged as `traffic` says."""

    bundle: Path
    source: int
    traffic: Scenario


_DRAWN = Scenario(exploration=0.5, belief_noise=1.0, feedback=0.5, n_requests=4_000)
SCENARIOS: Mapping[str, Scenario | GradedScenario] = MappingProxyType(
    {
        "good overlap": Scenario(exploration=0.5),
        "poor overlap": Scenario(exploration=0.1, n_requests=4_000),
        "misspecified reward model": Scenario(exploration=0.4, belief_noise=2.0, belief_bias=-1.5),
        "feedback on 5%, more on expensive lanes": Scenario(
            exploration=0.5, feedback=0.05, feedback_by_lane=1.5, n_requests=10_000
        ),
        "conversations of 8": Scenario(exploration=0.5, requests_per_conversation=8.0, reception=1.0, n_requests=4_000),
        "near-deterministic logging": Scenario(exploration=0.02, n_requests=4_000),
        "real grades, llmrouter": GradedScenario(_BUNDLE, 0, _DRAWN),
        "real grades, mmlu_pro": GradedScenario(_BUNDLE, 1, _DRAWN),
    }
)
Figures = Mapping[str, tuple[float, float, float]]
"""`estimator/interval/what` -> (estimate, low, high); what: `policy` or `difference`."""
Outcome = tuple[Figures, tuple[float, float], bool]
"""Figures, the truth (policy, difference), and whether the limits refuse the comparison."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Args:
        estimator: Name of the estimator.
        what: `policy` or `difference`.
        bias, rmse: Bias and root mean squared error of the estimate, in points of quality.
        coverage: Interval -> share of runs in which it contains the truth; absent if that interval cannot be computed.
        width: Interval -> its mean width.
        too_high: Interval -> share of runs in which even its lower end lies above the truth; it is the error rate of a
            gate that asks for a gain.
    """

    estimator: str
    what: str
    bias: float
    rmse: float
    coverage: Mapping[str, float]
    width: Mapping[str, float]
    too_high: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ScenarioReport:
    """Results of all runs of a scenario.

    Args:
        name: Name of the scenario.
        n_runs: Number of runs.
        refused: Share of runs in which the default limits refuse the comparison.
        rows: Rows of the table, by estimator.
    """

    name: str
    n_runs: int
    refused: float
    rows: tuple[Row, ...]


def run_once(scenario: Scenario | GradedScenario, reward_model: Literal["trees", "beliefs"], seed: int) -> Outcome:
    """Return the figures of all estimators and intervals on one log, the truth, and whether the limits refuse it."""
    traffic, with_challenger = _make(scenario, seed)
    challenger = GreedyPolicy(
        "best_value", worth_usd=WORTH_USD, beliefs=lambda logs: with_challenger, title="challenger"
    )
    champion = GreedyPolicy("best_value", worth_usd=WORTH_USD)
    judge = PolicyJudge(traffic.logs, challenger, champion, ComparisonSettings(reward_model=reward_model))
    samples = [judge.quality_sample(policy) for policy in judge.policies]
    makers = {name: make(judge.conversations, 0.95) for name, make in INTERVALS.items()}
    figures = {}
    for name, estimator in ESTIMATORS.items():
        first, second = (estimator.estimate(sample) for sample in samples)
        for what, estimate in (("policy", first), ("difference", first - second)):
            for kind, maker in makers.items():
                interval = maker.interval(estimate)
                ends = (np.nan, np.nan) if interval is None else (interval.low, interval.high)
                figures[f"{name}/{kind}/{what}"] = (estimate.value, *ends)
    limits = judge.settings.limits
    support = diagnose_difference(
        traffic.logs, judge.policies[0], judge.policies[1], judge.observation, judge.conversations, limits
    )
    one, other = (traffic.truth(policy)["quality"] for policy in (challenger, champion))
    return figures, (one, one - other), bool(refusals(support, limits, of_judged=True))


def validate(
    name: str,
    scenario: Scenario | GradedScenario,
    n_runs: int,
    workers: int = 1,
    reward_model: Literal["trees", "beliefs"] = "beliefs",
    first_seed: int = 0,
) -> ScenarioReport:
    """Run a scenario `n_runs` times, with consecutive seeds that start at `first_seed`, and return the results."""
    run = partial(run_once, scenario, reward_model)
    runs = list(_runs(run, range(first_seed, first_seed + n_runs), workers))
    truth = dict(zip(("policy", "difference"), np.mean([run[1] for run in runs], axis=0), strict=True))
    rows = []
    for estimator in ESTIMATORS:
        for what, true in truth.items():
            seen = {kind: np.array([run[0][f"{estimator}/{kind}/{what}"] for run in runs]) for kind in INTERVALS}
            errors = next(iter(seen.values()))[:, 0] - true
            computed = {kind: values for kind, values in seen.items() if np.isfinite(values).all()}
            coverage = {
                kind: float(((values[:, 1] <= true) & (true <= values[:, 2])).mean())
                for kind, values in computed.items()
            }
            width = {kind: float((values[:, 2] - values[:, 1]).mean()) for kind, values in computed.items()}
            too_high = {kind: float((values[:, 1] > true).mean()) for kind, values in computed.items()}
            bias, rmse = float(errors.mean()), float(np.sqrt((errors**2).mean()))
            rows.append(Row(estimator, what, bias, rmse, coverage, width, too_high))
    return ScenarioReport(name, n_runs, float(np.mean([run[2] for run in runs])), tuple(rows))


def markdown(reports: Iterable[ScenarioReport]) -> Iterator[str]:
    """Yield the lines of one table as the reports arrive: a line for each estimator, with policy and difference."""
    figures = ["bias", "RMSE", *INTERVALS]
    heading = ["scenario", "method", *figures, f"difference: {figures[0]}", *figures[1:], "bootstrap too high"]
    yield "| " + " | ".join(heading) + " |"
    yield "|" + "---|" * len(heading)
    for report in reports:
        title = f"{report.name} (refused {report.refused:.0%})"
        for estimator in ESTIMATORS:
            rows = [row for row in report.rows if row.estimator == estimator]
            too_high = f"{rows[-1].too_high['bootstrap']:.1%}"
            cells = [title, estimator, *(cell for row in rows for cell in _cells(row)), too_high]
            yield "| " + " | ".join(cells) + " |"
            title = ""


def _cells(row: Row) -> list[str]:
    covered = [
        f"{row.coverage[kind]:.1%} ({row.width[kind]:.3f})" if kind in row.coverage else "–" for kind in INTERVALS
    ]
    return [f"{row.bias:+.4f}", f"{row.rmse:.4f}", *covered]


def measure_speed(n_requests: int) -> str:
    """Return the time of a comparison on this many requests, a tenth of them judged, and the process's peak memory."""
    logs = make_traffic(Scenario(n_requests=n_requests, requests_per_conversation=2, feedback=0.1), 0).logs
    start = time.perf_counter(), time.process_time()
    compare_policies(logs, GreedyPolicy("best_value"), GreedyPolicy("cheapest_above_bar"))
    wall_s, cpu_s = time.perf_counter() - start[0], time.process_time() - start[1]
    import resource  # not on every system

    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return (
        f"{n_requests:,} requests over {len(logs.lane_ids)} lanes: {wall_s:.1f} s ({cpu_s:.1f} s of one core), "
        f"peak {peak_gib:.2f} GiB"
    )


def _make(scenario: Scenario | GradedScenario, seed: int) -> tuple[Traffic, LoggedRequests]:
    """Return traffic, and its requests with the challenger's beliefs."""
    if isinstance(scenario, GradedScenario):
        return replay(read_pool(scenario.bundle, scenario.source), scenario.traffic, seed)
    traffic = make_traffic(scenario, seed)
    return traffic, with_beliefs(traffic, 0.3, seed + 1_000_000)


def _runs(run: Callable[[int], Outcome], seeds: range, workers: int) -> Iterator[Outcome]:
    if workers == 1:
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(run, seeds, chunksize=20)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description="Validate off-policy estimators and intervals on simulated traffic, about which the truth is known."
    )
    parser.add_argument("--runs", type=int, default=1_000, help="number of runs of each scenario")
    parser.add_argument(
        "--first-seed", type=int, default=0, help="seed of the first run; other seeds give other logs of the same kind"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="number of processes")
    parser.add_argument(
        "--reward-model", choices=["beliefs", "trees"], default="beliefs", help="trees are ten times slower"
    )
    parser.add_argument(
        "--scenario", choices=list(SCENARIOS), action="append", help="run only this scenario; may be repeated"
    )
    parser.add_argument("--speed", type=int, metavar="N", help="only time one comparison with trees on N requests")
    options = parser.parse_args()
    if options.speed is not None:
        print(measure_speed(options.speed))
        return
    chosen = {name: SCENARIOS[name] for name in options.scenario or SCENARIOS}
    reports = (
        validate(name, scenario, options.runs, options.workers, options.reward_model, options.first_seed)
        for name, scenario in chosen.items()
    )
    for line in markdown(reports):
        print(line, flush=True)


if __name__ == "__main__":
    main()
