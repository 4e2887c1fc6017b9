"""Tests for drift that may be read at any time: do rewards match the predictions, and are prompts like earlier ones?

`CalibrationTest` bets against "the mean reward lies within `tolerance` of the prediction". Each bet's capital is
multiplied by 1 + stake (reward - predicted - tolerance), or by 1 + stake (predicted - tolerance - reward), and never
begins below 1 (an e-CUSUM). Their mean is an e-detector: while the predictions hold, it takes at least
`answers_between_false_alarms` judged answers, on average, until it reaches that number, whatever the prompts, the lanes
and the times of reading (Shin, Ramdas & Rinaldo 2024, "E-detectors: a nonparametric framework for sequential change
detection", theorem 2.4).

`population_stability` is the index of that name, with the threshold that it passes by chance (Yurdakul & Naranjo 2020,
"Statistical properties of the population stability index": the index of two samples of one distribution is about
chi-square / their harmonic size).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final, Self

import numpy as np

from router.arrays import Floats, Rows

_STAKES: Final = np.array([0.1, 0.25, 0.5, 0.85])
"""Stakes as shares of the capital. Small stakes find small drifts, large stakes find large drifts soon."""
_SMOOTHING: Final = 0.5
_N_BINS: Final = 10


@dataclass(slots=True)
class CalibrationTest:
    """The test of one stream of judged answers.

    Args:
        tolerance: Difference that is allowed between the mean reward and the prediction, 0..1.
        answers_between_false_alarms: Judged answers until a false alarm, on average, at least.
        capital: Capital of the bets on too low and on too high rewards, shape (8,).
        n_answers: Number of judged answers so far.
    """

    tolerance: float
    answers_between_false_alarms: float
    capital: Floats = field(default_factory=lambda: np.ones(2 * len(_STAKES)))
    n_answers: int = 0

    def note(self, predicted: float, reward: float) -> bool:
        """Take in one answer and return whether the alarm rings. After an alarm the test starts again.

        Args:
            predicted: P(good answer), predicted before the reward was known, 0..1.
            reward: Reward of the answer, 0..1.
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
        """The evidence for drift as a share of what rings the alarm, 0..1, on a logarithmic scale."""
        return float(
            np.clip(math.log(max(self.capital.mean(), 1.0)) / math.log(self.answers_between_false_alarms), 0, 1)
        )

    def to_json(self) -> dict[str, object]:
        """Return the state that has to be stored."""
        return {"capital": self.capital.tolist(), "n_answers": self.n_answers}

    @classmethod
    def from_json(cls, stored: Mapping[str, object], tolerance: float, answers_between_false_alarms: float) -> Self:
        """Return the test with a stored state.

        Raises:
            ValueError, TypeError, KeyError: The state is not of the stored form.
        """
        capital = np.array(stored["capital"], np.float64)
        if capital.shape != (2 * len(_STAKES),):
            raise ValueError(f"{capital.size} capitals are not {2 * len(_STAKES)}")
        n_answers = int(stored["n_answers"])  # type: ignore[call-overload]  # a wrong type raises
        return cls(tolerance, answers_between_false_alarms, capital, n_answers)


@dataclass(frozen=True, slots=True)
class Stability:
    """The similarity of two samples of one number.

    Args:
        index: Population stability index; 0: the same, 0.1: a little different, from 0.25 on: different.
        by_chance: Index that two samples of one distribution exceed with the stated probability.
    """

    index: float
    by_chance: float


def population_stability(before: Floats, now: Floats, false_alarm_rate: float) -> Stability | None:
    """Return the stability of a number between two samples, or None when it never differs or a sample is empty.

    Args:
        before, now: Values for independent requests, shapes (n,) and (k,); NaN counts as not there.
        false_alarm_rate: Probability with which two samples of one distribution exceed `by_chance`.
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
        names: Names of the columns.
        before, now: Values, shapes (n, len(names)) and (k, len(names)).
        false_alarm_rate: False alarm rate of all columns together.
    """
    each = false_alarm_rate / max(len(names), 1)
    columns = [(name, population_stability(before[:, place], now[:, place], each)) for place, name in enumerate(names)]
    differing = [(name, stability) for name, stability in columns if stability is not None]
    return sorted(differing, key=lambda pair: pair[1].by_chance - pair[1].index)


def _edges(before: Floats, now: Floats) -> Floats:
    """Return the inner edges of bins that hold about equally many values. A frequent value has its own bin."""
    both = np.concatenate([before, now])
    cuts = np.unique(np.quantile(both, np.arange(1, _N_BINS) / _N_BINS, method="inverted_cdf"))
    return np.asarray(cuts[cuts < both.max()], np.float64)


def _shares(sample: Floats, edges: Floats) -> Floats:
    counts: Rows = np.bincount(np.searchsorted(edges, sample, side="left"), minlength=len(edges) + 1)
    return np.asarray((counts + _SMOOTHING) / (len(sample) + _SMOOTHING * len(counts)), np.float64)


def _chi_square_quantile(probability: float, degrees: int) -> float:
    """Return a quantile by Wilson and Hilferty's cube (1931): exact for one degree, within a percent for more."""
    normal = NormalDist()
    if degrees == 1:
        return normal.inv_cdf((1 + probability) / 2) ** 2
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + normal.inv_cdf(probability) * math.sqrt(spread)) ** 3)
