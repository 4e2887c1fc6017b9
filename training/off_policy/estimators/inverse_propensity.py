"""Inverse propensity scoring: mean of w_i o_i r_i (Horvitz and Thompson 1952; for policies, Precup, Sutton and Singh 2000).

Unbiased under support and true chances, whatever the world is like. Its variance grows with the weights, and it changes when a constant is added to
every outcome: with little feedback the self-normalised estimator is nearly always better.
"""

from dataclasses import dataclass

from training.off_policy.estimators.port import Estimate, JudgedSample


@dataclass(frozen=True, slots=True)
class InversePropensity:
    """See the module's text."""

    needs_reward_model: bool = False

    def estimate(self, sample: JudgedSample) -> Estimate:
        """Return the policy's mean outcome."""
        span = None if sample.scale is None else sample.scale * sample.largest_weight()
        return Estimate.of_terms(sample.weight * sample.observation * sample.outcome, span)
