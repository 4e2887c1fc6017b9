"""Self-normalised inverse propensity: sum of w_i o_i r_i / sum of w_i o_i (Hajek 1964; Swaminathan and Joachims 2015).

Biased by O(1/n), consistent under the conditions of inverse propensity scoring. Always within the range of the outcomes.
"""

from dataclasses import dataclass

from training.off_policy.estimators.port import Estimate, JudgedSample


@dataclass(frozen=True, slots=True)
class SelfNormalised:
    """See the module's text."""

    needs_reward_model: bool = False

    def estimate(self, sample: JudgedSample) -> Estimate:
        """Return the policy's mean outcome; NaN where no draw of the policy's was judged."""
        weight = sample.weight * sample.observation
        return Estimate.of_ratio(weight * sample.outcome, weight)
