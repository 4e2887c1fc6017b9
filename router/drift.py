"""Tests for drift that may be looked at any time: whether rewards keep the word of the predictions, and whether prompts are like those before.

`CalibrationTest` bets against "the mean reward lies within `tolerance` of what was predicted". Each bet's capital is multiplied by
1 + stake (reward - predicted - tolerance), or by 1 + stake (predicted - tolerance - reward), and never begins below 1 (an e-CUSUM). Their
mean is an e-detector: where the predictions keep their word, it takes at least `answers_between_false_alarms` judged answers, on average,
until it reaches that number, whatever the prompts, the lanes and the moments of looking (Shin, Ramdas & Rinaldo 2024, "E-detectors: a
nonparametric framework for sequential change detection", theorem 2.4).

`population_stability` is the index of that name, with the threshold that it passes by chance (Yurdakul & Naranjo 2020, "Statistical
properties of the population stability index": the index of two samples of one distribution is about chi-square / their harmonic size).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final, Self

import numpy as np

from router.arrays import Floats, Rows

_STAKES: Final = np.array([0.1, 0.25, 0.5, 0.85])
"""As shares of all that is owned; small ones find small drifts, large ones large drifts soon."""
_SMOOTHING: Final = 0.5
_N_BINS: Final = 10


@dataclass(slots=True)
class CalibrationTest:
    """One stream of judged answers.

    Args:
        tolerance: By how much the mean reward may differ from what was predicted, 0..1.
        answers_between_false_alarms: See the module's text.
        capital: Shape (8,), of the bets on too low and on too high rewards.
        n_answers: How many were seen.
    """

    tolerance: float
    answers_between_false_alarms: float
    capital: Floats = field(default_factory=lambda: np.ones(2 * len(_STAKES)))
    n_answers: int = 0

    def note(self, predicted: float, reward: float) -> bool:
        """Take in one answer; return whether the alarm rings. After that it begins anew.

        Args:
            predicted: P(good answer), known before the reward was, 0..1.
            reward: 0..1.
        """
        surplus = reward - predicted
        gains = np.concatenate([_STAKES * (surplus - self.tolerance), _STAKES * (-surplus - self.tolerance)])
        self.capital = np.maximum(self.capital, 1.0) * np.maximum(1 + gains, 1e-9)
        self.n_answers += 1
        is_alarming = bool(self.capital.mean() >= self.answers_between_false_alarms)
        if is_alarming:
            self.capital = np.ones_like(self.capital)
        return is_alarming

    @property
    def evidence(self) -> float:
        """How far it is on its way to the alarm, 0..1, on a logarithmic scale."""
        return float(
            np.clip(math.log(max(self.capital.mean(), 1.0)) / math.log(self.answers_between_false_alarms), 0, 1)
        )

    def to_json(self) -> dict[str, object]:
        """Return what has to be kept of it."""
        return {"capital": self.capital.tolist(), "n_answers": self.n_answers}

    @classmethod
    def from_json(cls, stored: Mapping[str, object], tolerance: float, answers_between_false_alarms: float) -> Self:
        """Return what was kept.

        Raises:
            ValueError, TypeError, KeyError: It is not of that form.
        """
        capital = np.array(stored["capital"], np.float64)
        if capital.shape != (2 * len(_STAKES),):
            raise ValueError(f"{capital.size} capitals are not {2 * len(_STAKES)}")
        return cls(tolerance, answers_between_false_alarms, capital, int(stored["n_answers"]))  # type: ignore[call-overload]  # the caller's to catch


@dataclass(frozen=True, slots=True)
class Stability:
    """How alike two samples of one number are.

    Args:
        index: The population stability index; 0: the same, 0.1: a little different, from 0.25 on: different.
        by_chance: What it exceeds with the stated probability where both samples are of one distribution.
    """

    index: float
    by_chance: float


def population_stability(before: Floats, now: Floats, false_alarm_rate: float) -> Stability | None:
    """Return the stability of a number between two samples; None: it never differs, or a sample is empty.

    Args:
        before, now: Shapes (n,) and (k,), of independent requests; NaN counts as not there.
        false_alarm_rate: With which `by_chance` is exceeded.
    """
    before, now = before[~np.isnan(before)], now[~np.isnan(now)]
    if not len(before) or not len(now):
        return None
    edges = _edges(before, now)
    if not len(edges):
        return None
    shares = [_shares(sample, edges) for sample in (before, now)]
    index = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    by_chance = _chi_square_quantile(1 - false_alarm_rate, len(edges)) * (1 / len(before) + 1 / len(now))
    return Stability(index, by_chance)


def least_stable(
    names: Sequence[str], before: Floats, now: Floats, false_alarm_rate: float
) -> list[tuple[str, Stability]]:
    """Return (name, stability) of each column that differs at all, the least stable first.

    Args:
        names: Of the columns.
        before, now: Shapes (n, len(names)) and (k, len(names)).
        false_alarm_rate: Of all columns together.
    """
    each = false_alarm_rate / max(len(names), 1)
    found = [(name, population_stability(before[:, place], now[:, place], each)) for place, name in enumerate(names)]
    known = [(name, stability) for name, stability in found if stability is not None]
    return sorted(known, key=lambda pair: pair[1].by_chance - pair[1].index)


def _edges(before: Floats, now: Floats) -> Floats:
    """Return the inner edges of bins that hold about equally many of both samples together; a value that is frequent has its own."""
    both = np.concatenate([before, now])
    cuts = np.unique(np.quantile(both, np.arange(1, _N_BINS) / _N_BINS, method="inverted_cdf"))
    return np.asarray(cuts[cuts < both.max()], np.float64)


def _shares(sample: Floats, edges: Floats) -> Floats:
    counts: Rows = np.bincount(np.searchsorted(edges, sample, side="left"), minlength=len(edges) + 1)
    return np.asarray((counts + _SMOOTHING) / (len(sample) + _SMOOTHING * len(counts)), np.float64)


def _chi_square_quantile(probability: float, degrees: int) -> float:
    """Return a quantile by Wilson and Hilferty's cube (1931), within a percent from two degrees on; exact for one."""
    normal = NormalDist()
    if degrees == 1:
        return normal.inv_cdf((1 + probability) / 2) ** 2
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + normal.inv_cdf(probability) * math.sqrt(spread)) ** 3)
