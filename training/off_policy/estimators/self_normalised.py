"""Self-normalised inverse propensity: sum of w_i o_i r_i / sum of w_i o_i (Hajek 1964; Swaminathan and Joachims 2015).

It has a bias of O(1/n), and is consistent under the conditions of inverse propensity scoring. The estimate is always
within the range of the outcomes.
"""

from dataclasses import dataclass

from training.off_policy.estimators.port import Estimate, JudgedSample


@dataclass(frozen=True, slots=True)
class SelfNormalised:
    """Weights the logged outcomes and divides by the sum of weights; see the module's docstring."""

    needs_reward_model: bool = False

    def estimate(self, sample: JudgedSample) -> Estimate:
        """Return the policy's mean outcome; NaN if no drawn lane that the policy could take was judged."""
        weight = sample.weight * sample.observation
        return Estimate.of_ratio(weight * sample.outcome, weight)
