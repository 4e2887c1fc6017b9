"""Empirical Bernstein bound: holds at every number of conversations, not only in the long run (Maurer and Pontil 2009, theorem 4).

    |mean - truth| <= sqrt(2 V ln(4 / a) / g) + 7 b ln(4 / a) / (3 (g - 1)),    a = 1 - level, V the sample variance, b the range

Only for estimators that are means of bounded terms: not for self-normalised ones, nor for costs and latencies, which nobody bounds. Conservative by
construction: it covers far more than it says, and b holds the largest weight that could have been drawn, so it is wide where overlap is poor. Where the chance
of being judged is estimated, it is as good as that estimate.
"""

from dataclasses import dataclass

import numpy as np

from router.verdict import Interval
from training.off_policy.estimators.port import Estimate
from training.off_policy.intervals.conversations import Conversations


@dataclass(frozen=True, slots=True, eq=False)
class EmpiricalBernstein:
    """See the module's text.

    Args:
        conversations: Of the requests.
        level: Confidence, 0..1.
    """

    conversations: Conversations
    level: float = 0.95

    def interval(self, estimate: Estimate) -> Interval | None:
        """Return the interval; None for estimates without a bound."""
        g = len(self.conversations)
        if estimate.span is None or g < 2:
            return None
        influence = self.conversations.influence(estimate)
        # The sum over a conversation of terms within a range of `span`, in units of a conversation's mean size.
        largest = estimate.span * float(self.conversations.sizes.max()) * g / len(self.conversations.number)
        log_term = np.log(4 / (1 - self.level))
        radius = float(np.sqrt(2 * influence.var(ddof=1) * log_term / g) + 7 * largest * log_term / (3 * (g - 1)))
        return Interval(estimate.value, estimate.value - radius, estimate.value + radius)
