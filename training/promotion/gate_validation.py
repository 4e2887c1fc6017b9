"""Measures how often the promotion gate errs, on simulated traffic: `python -m training.promotion.gate_validation`.

The truth about simulated traffic is known. Each night has its own logs. The champion's beliefs are poor. There are
three challengers:

- its beliefs are as poor, in another way: there is no gain;
- its beliefs are better;
- its beliefs are better, except that they send a small account to the cheapest lane.
"""

import argparse
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType

import numpy as np

from training.off_policy.comparison import ComparisonSettings
from training.off_policy.evaluation_policies import GreedyPolicy
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario, Traffic, with_beliefs
from training.promotion.gate import GateSettings, judge_challenger
from training.telemetry.logged_requests import LoggedRequests

_WORTH_USD = 0.03
_NIGHT = Scenario(n_requests=24_000, exploration=0.4, feedback=0.3, belief_noise=1.5)
_SMALL_ACCOUNT_SHARE = 8


def _as_poor(traffic: Traffic, seed: int) -> LoggedRequests:
    return with_beliefs(traffic, _NIGHT.belief_noise, seed)


def _better(traffic: Traffic, seed: int) -> LoggedRequests:
    return with_beliefs(traffic, 0.2, seed)


def _harmful(traffic: Traffic, seed: int) -> LoggedRequests:
    better = _better(traffic, seed)
    cheapest = np.array([1.0, 0.0, 0.0, 0.0], np.float32)
    return replace(better, quality=np.where((better.accounts == "umbrella")[:, None], cheapest, better.quality))


CHALLENGERS: Mapping[str, Callable[[Traffic, int], LoggedRequests]] = MappingProxyType(
    {"no gain": _as_poor, "better": _better, "better, but worse for one account, an eighth of the requests": _harmful}
)


def judge_night(name: str, seed: int) -> tuple[bool, bool]:
    """Return whether a night's challenger passes, and whether a guard of an account or a kind of request stops it."""
    drawn = make_traffic(_NIGHT, seed)
    is_small = np.arange(len(drawn.logs)) % _SMALL_ACCOUNT_SHARE == 0
    traffic = replace(drawn, logs=replace(drawn.logs, accounts=np.where(is_small, "umbrella", "acme")))
    with_challenger = CHALLENGERS[name](traffic, seed + 1_000_000)
    verdict = judge_challenger(
        traffic.logs,
        GreedyPolicy("best_value", _WORTH_USD, beliefs=lambda logs: with_challenger),
        GreedyPolicy("best_value", _WORTH_USD),
        ("challenger", "champion"),
        datetime(2026, 1, 1, tzinfo=UTC),
        GateSettings(comparison=ComparisonSettings(value_usd=_WORTH_USD, reward_model="beliefs")),
    )
    return verdict.is_better, any(guard.outcome == "broken" and guard.group is not None for guard in verdict.guards)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure how often the promotion gate errs.")
    parser.add_argument("--nights", type=int, default=400, help="number of nights for each challenger")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="number of processes")
    options = parser.parse_args()
    print("| challenger | passes | stopped by an account or a kind |\n|---|---|---|", flush=True)
    with ProcessPoolExecutor(options.workers) as pool:
        for name in CHALLENGERS:
            nights = np.array(list(pool.map(partial(judge_night, name), range(options.nights), chunksize=10)))
            passed, guarded = nights.mean(axis=0)
            print(f"| {name} | {passed:.1%} | {guarded:.1%} |", flush=True)


if __name__ == "__main__":
    main()
