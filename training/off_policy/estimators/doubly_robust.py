"""Doubly robust: mean of Q_i + w_i o_i (r_i - q(x_i, a_i)) (Robins, Rotnitzky and Zhao 1994; for policies, Dudik, Langford and Li 2011).

Unbiased when the chances (of drawing and of being judged) are right, or when the reward model is: one of them suffices. The better the reward model, the smaller
the variance. Cross-fitted by conversation, so that the reward model's own luck does not enter (Chernozhukov et al. 2018). The default.
"""

from dataclasses import dataclass

from training.off_policy.estimators.port import Estimate, JudgedSample


@dataclass(frozen=True, slots=True)
class DoublyRobust:
    """See the module's text."""

    needs_reward_model: bool = True

    def estimate(self, sample: JudgedSample) -> Estimate:
        """Return the policy's mean outcome."""
        surprise = sample.outcome - sample.at_drawn()
        span = None if sample.scale is None else sample.scale * (1 + 2 * sample.largest_weight())
        return Estimate.of_terms(sample.under_policy() + sample.weight * sample.observation * surprise, span)
