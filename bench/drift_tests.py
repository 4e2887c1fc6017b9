"""Measures how soon the drift tests find drift, and how often they raise a false alarm, by simulation in one thread.

Run `python -m bench.drift_tests`.
"""

from collections.abc import Callable

import numpy as np

from router.arrays import Floats
from router.drift import CalibrationTest, population_stability

_TOLERANCE, _BETWEEN = 0.05, 10_000.0
_DROPS = (0.3, 0.2, 0.15, 0.1)
_RUNS, _LONGEST = 30, 5_000
_QUIET_RUNS, _QUIET_ANSWERS = 6, 20_000
_PAIRS, _RATE = 2_000, 0.01
_SAMPLES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "continuous": lambda rng, n: rng.lognormal(size=n),
    "counts": lambda rng, n: rng.poisson(0.7, n).astype(np.float64),
}


def answers_until_alarm(drop: float, seed: int, limit: int) -> float:
    """Return the number of judged answers until the alarm, if all are worse by `drop` than predicted.

    Infinite: there is no alarm within `limit` answers.
    """
    rng = np.random.default_rng(seed)
    test = CalibrationTest(_TOLERANCE, _BETWEEN)
    for count in range(1, limit + 1):
        predicted = float(rng.beta(6, 2.5))
        if test.note(predicted, float(rng.random() < predicted - drop)):
            return count
    return float("inf")


def exceeded_share(sample: Callable[[np.random.Generator, int], Floats]) -> float:
    """Return the share of pairs of samples of one distribution that exceed the 1% threshold."""
    rng = np.random.default_rng(0)
    exceeded = 0
    for _ in range(_PAIRS):
        stability = population_stability(sample(rng, 400), sample(rng, 200), _RATE)
        exceeded += stability is not None and stability.index > stability.by_chance
    return exceeded / _PAIRS


def main() -> None:
    """Print the figures."""
    for drop in _DROPS:
        counts = [answers_until_alarm(drop, seed, _LONGEST) for seed in range(_RUNS)]
        median, late = np.percentile(counts, (50, 90))
        print(f"worse by {drop:.2f}: alarm after {median:,.0f} judged answers, 90% of runs by {late:,.0f}")
    false = sum(answers_until_alarm(0.0, seed, _QUIET_ANSWERS) < np.inf for seed in range(_QUIET_RUNS))
    print(f"as predicted: {false} of {_QUIET_RUNS} runs of {_QUIET_ANSWERS:,} judged answers had an alarm")
    for name, sample in _SAMPLES.items():
        print(f"two samples of one distribution, {name}: {exceeded_share(sample):.2%} exceed the {_RATE:.0%} threshold")


if __name__ == "__main__":
    main()
