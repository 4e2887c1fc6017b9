"""Empirical Bernstein bound: it holds for every number of conversations, not only for large ones.

Maurer and Pontil 2009, theorem 4, with a = 1 - level, V the sample variance and b the range:

    |mean - truth| <= sqrt(2 V ln(4 / a) / g) + 7 b ln(4 / a) / (3 (g - 1))

- It exists only for estimators that are means of bounded terms: not for self-normalised ones, and not for costs and
  latencies, which have no bound.
- It is conservative: it covers far more often than its level. b includes the largest weight that could have been drawn,
  so the interval is wide if overlap is poor.
- If the probability of being judged is estimated, the bound is only as good as that estimate.
"""

from dataclasses import dataclass

import numpy as np

from router.verdict import Interval
from training.off_policy.estimators.port import Estimate
from training.off_policy.intervals.conversations import Conversations


@dataclass(frozen=True, slots=True, eq=False)
class EmpiricalBernstein:
    """Computes the bound around an estimate; see the module's docstring.

    Args:
        conversations: Conversations of the requests.
        level: Confidence, 0..1.
    """

    conversations: Conversations
    level: float = 0.95

    def interval(self, estimate: Estimate) -> Interval | None:
        """Return the interval; None for an estimate without a bound."""
        g = len(self.conversations)
        if estimate.span is None or g < 2:
            return None
        influence = self.conversations.influence(estimate)
        # Largest range of a conversation's sum of terms, in units of the mean size of a conversation. Each term lies
        # in a range of length `span`.
        largest = estimate.span * float(self.conversations.sizes.max()) * g / len(self.conversations.number)
        log_term = np.log(4 / (1 - self.level))
        radius = float(np.sqrt(2 * influence.var(ddof=1) * log_term / g) + 7 * largest * log_term / (3 * (g - 1)))
        return Interval(estimate.value, estimate.value - radius, estimate.value + radius)
