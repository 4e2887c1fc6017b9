"""What it is worth to know a model better: how much better requests would be routed if its quality were certain.

A belief matters only where it could change a choice. Take one reference prompt, a worth `w` of a good answer, the
utility `u = w * quality - cost` of a model's best lane, and the best utility `b` of all other models. The model's
utility is uncertain with `s = w * quality * (1 - quality) * std`, where `std` is the uncertainty of its log odds.
Certainty would then gain, on average,

    E[max(U, b)] - max(u, b) = s * (pdf(z) - z * (1 - cdf(z))),    z = |u - b| / s

the expected value of perfect information (Howard 1966, "Information value theory"). It is large for a model that is
uncertain and near the frontier of cost and quality, and 0 for one that is known, or beaten whatever it turns out to be.
"""

from collections.abc import Sequence
from math import pi

import numpy as np

from router.arrays import Floats
from router.bar import LaneReference
from router.bundle import Bundle
from router.lane import Lane
from router.lane_table import LaneTable
from router.reference_answers import ReferenceAnswers

_WORTHS = (0.1, 1.0, 10.0)
"""Factors on the operator's worth of a good answer, so that thrifty and demanding callers count too."""
_MOST_PROMPTS = 1_000


class ValueOfKnowing:
    """The value of knowing each model, over the bundle's reference prompts.

    Args:
        lanes: All lanes that may answer.
        names: Name of each lane's model, in the order of `lanes`; lanes of one name share a belief.
        bundle: Bundle that has the beliefs.
        reference: Reference answers of the bundle.
        worth_usd: Worth of a good answer, USD.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        names: Sequence[str],
        bundle: Bundle,
        reference: ReferenceAnswers,
        worth_usd: float,
    ) -> None:
        self._bundle, self._reference = bundle, _thinned(reference)
        self._worths = [factor * worth_usd for factor in _WORTHS]
        self._column = {name: place for place, name in enumerate(dict.fromkeys(names))}
        beliefs = LaneReference(self._table(lanes), self._reference)
        rows: dict[str, list[int]] = {name: [] for name in self._column}
        for row, name in enumerate(names):
            rows[name].append(row)
        columns = [
            self._best(beliefs.quality[:, of_model], beliefs.cost_usd[:, of_model]) for of_model in rows.values()
        ]
        self._utility = np.stack([utility for utility, _ in columns], axis=2)  # (n_worths, n_prompts, n_models)
        self._slope = np.stack([slope for _, slope in columns], axis=2)
        self._rank()

    def of(self, name: str, std: float) -> float:
        """Return the value of knowing a model for certain, in good answers a request.

        Args:
            name: Name of the model.
            std: Standard deviation of the log odds of its good answers.
        """
        column = self._column[name]
        others = np.where(self._best_model == column, self._second_best, self._best_utility)
        spread = self._slope[:, :, column] * std + 1e-12
        distance = np.abs(self._utility[:, :, column] - others) / spread
        gain = spread * np.maximum(_density(distance) - distance * _upper_tail(distance), 0)
        return float((gain.mean(axis=1) / self._worths).mean())

    def focus(self, names: Sequence[str]) -> None:
        """Keep only these models apart. The others become one, the best of them at each prompt; it stays as it is."""
        kept = [self._column[name] for name in names]
        others = np.delete(self._utility, kept, axis=2)
        utility, slope = self._utility[:, :, kept], self._slope[:, :, kept]
        if others.shape[2]:
            utility = np.concatenate([utility, others.max(axis=2, keepdims=True)], axis=2)
            slope = np.concatenate([slope, np.zeros_like(slope[:, :, :1])], axis=2)
        self._utility, self._slope = utility, slope
        self._column = {name: place for place, name in enumerate(names)}
        self._rank()

    def update(self, name: str, lanes: Sequence[Lane]) -> None:
        """Use the present belief about a model.

        Args:
            name: Name of the model.
            lanes: Its lanes with their newest placement.
        """
        beliefs = LaneReference(self._table(lanes), self._reference)
        column = self._column[name]
        self._utility[:, :, column], self._slope[:, :, column] = self._best(beliefs.quality, beliefs.cost_usd)
        self._rank()

    def _table(self, lanes: Sequence[Lane]) -> LaneTable:
        return LaneTable.build(lanes, self._bundle.trained_names, self._bundle.catalogue)

    def _best(self, quality: Floats, cost_usd: Floats) -> tuple[Floats, Floats]:
        """Return the utility of a model's best lane, and its slope in the log odds, each (n_worths, n_prompts)."""
        utility, slope = [], []
        for worth in self._worths:
            each = worth * quality - cost_usd  # (n_prompts, n_lanes of the model)
            best = each.argmax(axis=1)[:, None]
            chance = np.take_along_axis(quality, best, axis=1)[:, 0]
            utility.append(np.take_along_axis(each, best, axis=1)[:, 0])
            slope.append(worth * chance * (1 - chance))
        return np.array(utility), np.array(slope)

    def _rank(self) -> None:
        self._best_model = self._utility.argmax(axis=2)
        self._best_utility = self._utility.max(axis=2)
        if self._utility.shape[2] == 1:
            self._second_best = np.zeros_like(self._best_utility)  # no answer at all
        else:
            self._second_best = np.partition(self._utility, -2, axis=2)[:, :, -2]


def _thinned(reference: ReferenceAnswers) -> ReferenceAnswers:
    """Return evenly spaced prompts of the reference answers, at most `_MOST_PROMPTS`."""
    n = len(reference)
    rows = np.unique(np.linspace(0, n - 1, min(n, _MOST_PROMPTS)).astype(np.intp))
    return reference.of_prompts(rows)


def _density(z: Floats) -> Floats:
    return np.asarray(np.exp(-(z**2) / 2) / np.sqrt(2 * pi), np.float64)


def _upper_tail(z: Floats) -> Floats:
    """Return 1 - cdf of the normal distribution for z >= 0, to 7.5e-8 (Abramowitz and Stegun 1964, 26.2.17)."""
    t = 1 / (1 + 0.2316419 * z)
    terms = (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429)
    return _density(z) * sum(term * t**power for power, term in enumerate(terms, start=1))
