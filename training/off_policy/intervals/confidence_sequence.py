"""A confidence sequence: intervals that all hold together, however often an operator looks at them.

It is the asymptotic one of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, "Time-uniform central limit theory and
asymptotic confidence sequences", theorem 2.2. With a = 1 - level and t conversations so far:

    mean_t +- sd_t sqrt(2 (t rho^2 + 1) / (t^2 rho^2) ln(sqrt(t rho^2 + 1) / a))

An operator who looks at an ordinary 95% interval every night, until it shows a gain, will find one by chance. A
confidence sequence stays valid when it is looked at every night. So it is wider: at its tightest, about 1.6 times as
wide as the interval for a single look.
"""

from dataclasses import dataclass

import numpy as np

from router.verdict import Interval
from training.off_policy.estimators.port import Estimate, Floats
from training.off_policy.intervals.conversations import Conversations


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceSequence:
    """Computes the intervals of a confidence sequence; see the module's docstring.

    Args:
        conversations: Conversations of the requests, in order of time.
        level: Confidence, 0..1, over all looks together.
        tightest_at: Number of conversations at which it is tightest; set it before the first look and keep it.
    """

    conversations: Conversations
    level: float = 0.95
    tightest_at: int = 2_000

    def interval(self, estimate: Estimate) -> Interval | None:
        """Return the interval of this look, at all conversations so far."""
        influence = self.conversations.influence(estimate)
        if len(influence) < 2:
            return None
        radius = float(influence.std(ddof=1) * self._width(np.array([len(influence)], np.float64))[0])
        return Interval(estimate.value, estimate.value - radius, estimate.value + radius)

    def path(self, estimate: Estimate) -> Floats:
        """Return (estimate, low, high) after each conversation, shape (g, 3).

        It is meant for plots, and shows what a look at each time would have seen.
        """
        influence = self.conversations.influence(estimate)
        t = np.arange(1, len(influence) + 1, dtype=np.float64)
        mean = np.cumsum(influence) / t
        spread = np.sqrt(np.maximum(np.cumsum(influence**2) / t - mean**2, 0))
        radius = spread * self._width(t)
        return estimate.value + np.stack([mean, mean - radius, mean + radius], axis=1)

    def _width(self, t: Floats) -> Floats:
        error = 1 - self.level
        # The rho that makes the interval tightest at a given time, from the appendix of the same paper.
        rho_squared = (-2 * np.log(error) + np.log(-2 * np.log(error) + 1)) / self.tightest_at
        spread = t * rho_squared + 1
        return np.asarray(np.sqrt(2 * spread / (t**2 * rho_squared) * np.log(np.sqrt(spread) / error)))
