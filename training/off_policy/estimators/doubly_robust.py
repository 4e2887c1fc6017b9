"""Doubly robust: mean of Q_i + w_i o_i (r_i - q(x_i, a_i)).

Robins, Rotnitzky and Zhao 1994; for policies, Dudik, Langford and Li 2011.

It is unbiased if the probabilities (of being drawn and of being judged) are right, or if the reward model is right: one
of the two is enough. The better the reward model, the smaller the variance. It is cross-fitted by conversation, so that
overfitting of the reward model does not bias it (Chernozhukov et al. 2018). It is the default.
"""

from dataclasses import dataclass

from training.off_policy.estimators.port import Estimate, JudgedSample


@dataclass(frozen=True, slots=True)
class DoublyRobust:
    """Corrects the reward model by the weighted logs; see the module's docstring."""

    needs_reward_model: bool = True

    def estimate(self, sample: JudgedSample) -> Estimate:
        """Return the policy's mean outcome."""
        surprise = sample.outcome - sample.at_drawn()
        span = None if sample.scale is None else sample.scale * (1 + 2 * sample.largest_weight())
        return Estimate.of_terms(sample.under_policy() + sample.weight * sample.observation * surprise, span)
