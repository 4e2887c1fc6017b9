"""The direct method: mean of Q_i, the outcome that the reward model expects.

It is as good and as biased as the reward model. Nothing in the logs corrects it, and its interval does not include its
bias. It gives an estimate even without support in the logs, which is no advantage. It is here for comparison.
"""

from dataclasses import dataclass

from training.off_policy.estimators.port import Estimate, JudgedSample


@dataclass(frozen=True, slots=True)
class DirectMethod:
    """Estimates by the reward model alone; see the module's docstring."""

    needs_reward_model: bool = True

    def estimate(self, sample: JudgedSample) -> Estimate:
        """Return the policy's mean outcome."""
        return Estimate.of_terms(sample.under_policy(), sample.scale)
