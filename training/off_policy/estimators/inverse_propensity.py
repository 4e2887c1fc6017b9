"""Inverse propensity scoring: mean of w_i o_i r_i.

Horvitz and Thompson 1952; for policies, Precup, Sutton and Singh 2000.

It is unbiased if there is support and the probabilities are right; it assumes nothing else. Its variance grows with the
weights, and it changes if a constant is added to every outcome. With little feedback the self-normalised estimator is
nearly always better.
"""

from dataclasses import dataclass

from training.off_policy.estimators.port import Estimate, JudgedSample


@dataclass(frozen=True, slots=True)
class InversePropensity:
    """Weights the logged outcomes; see the module's docstring."""

    needs_reward_model: bool = False

    def estimate(self, sample: JudgedSample) -> Estimate:
        """Return the policy's mean outcome."""
        span = None if sample.scale is None else sample.scale * sample.largest_weight()
        return Estimate.of_terms(sample.weight * sample.observation * sample.outcome, span)
