"""The interface of estimators: the sample that one reads and the estimate it returns, for one policy and metric."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedSample:
    """`n` logged requests, as an estimator sees them.

    Args:
        policy, behaviour: Shape (n, m), probabilities of the judged policy and of the policy that logged.
        weight: Shape (n,), w.
        observation: Shape (n,), o; 0 where the outcome is unknown.
        outcome: Shape (n,), r; 0 where unknown.
        expected: Shape (n, m), q; 0 where neither policy needs it. None: there is no reward model.
        chosen: Shape (n,), column of the drawn lane.
        scale: Length of the range of outcomes; None: unknown.
    """

    policy: Probabilities
    behaviour: Probabilities
    weight: Floats
    observation: Floats
    outcome: Floats
    expected: Probabilities | None
    chosen: npt.NDArray[np.intp]
    scale: float | None

    def rows(self, chosen: npt.NDArray[np.intp]) -> "JudgedSample":
        """Return the sample of the chosen requests."""
        expected = None if self.expected is None else self.expected[chosen]
        return JudgedSample(
            self.policy[chosen],
            self.behaviour[chosen],
            self.weight[chosen],
            self.observation[chosen],
            self.outcome[chosen],
            expected,
            self.chosen[chosen],
            self.scale,
        )

    def largest_weight(self) -> float:
        """Return the largest w x o that any possible draw could have."""
        is_possible = (self.policy > 0) & (self.behaviour > 0)
        ratio = np.divide(self.policy, self.behaviour, out=np.zeros(self.policy.shape), where=is_possible)
        return float(ratio.max(initial=0.0) * self.observation.max(initial=0.0))

    def under_policy(self) -> Floats:
        """Return Q, shape (n,)."""
        return np.asarray(np.einsum("nm,nm->n", self.policy, self._model(), dtype=np.float64), np.float64)

    def at_drawn(self) -> Floats:
        """Return q of the drawn lanes, shape (n,)."""
        return self._model()[np.arange(len(self.chosen)), self.chosen].astype(np.float64)

    def _model(self) -> Probabilities:
        if self.expected is None:
            raise ValueError("this estimator needs a reward model")
        return self.expected


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """An estimated figure, and the influence of each request on it.

    Args:
        value: Estimated figure.
        influence: Shape (n,), mean 0. The mean of the influences is, to first order, the error of `value`. So the
            influence of a difference is the difference of the influences, which makes a comparison on the same
            requests much tighter.
        span: Length of the range of `value + influence`; None: it has no known bound, or the estimate is not a mean.
    """

    value: float
    influence: Floats
    span: float | None

    @classmethod
    def of_terms(cls, terms: Floats, span: float | None) -> "Estimate":
        """Return the estimate that is the mean of terms, shape (n,)."""
        value = float(terms.mean())
        return cls(value, terms - value, span)

    @classmethod
    def of_ratio(cls, numerator: Floats, denominator: Floats) -> "Estimate":
        """Return the estimate that is sum(numerator) / sum(denominator), both (n,); NaN if all denominators are 0."""
        total = float(denominator.mean())
        if total == 0:
            return cls(float("nan"), np.full(len(numerator), np.nan), None)
        value = float(numerator.mean()) / total
        return cls(value, (numerator - value * denominator) / total, None)

    def scaled(self, factor: float) -> "Estimate":
        """Return this estimate times a number."""
        return Estimate(
            self.value * factor, self.influence * factor, None if self.span is None else self.span * abs(factor)
        )

    def __add__(self, other: "Estimate") -> "Estimate":
        """Return the sum of two estimates on the same requests."""
        span = None if self.span is None or other.span is None else self.span + other.span
        return Estimate(self.value + other.value, self.influence + other.influence, span)

    def __sub__(self, other: "Estimate") -> "Estimate":
        """Return the difference of two estimates on the same requests."""
        return self + other.scaled(-1.0)


class Estimator(Protocol):
    """Estimates the mean outcome that a policy would have had. Stateless."""

    @property
    def needs_reward_model(self) -> bool:
        """Whether the estimator reads `JudgedSample.expected`."""
        ...

    def estimate(self, sample: JudgedSample) -> Estimate:
        """Return the policy's mean outcome."""
        ...
