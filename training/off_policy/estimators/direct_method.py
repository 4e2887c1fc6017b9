"""The direct method: mean of Q_i, what the reward model believes.

As good as the reward model, and as biased: nothing in the logs corrects it, and its interval knows nothing of its bias. It needs no support, which is no
virtue. Here for comparison.
"""

from dataclasses import dataclass

from training.off_policy.estimators.port import Estimate, JudgedSample


@dataclass(frozen=True, slots=True)
class DirectMethod:
    """See the module's text."""

    needs_reward_model: bool = True

    def estimate(self, sample: JudgedSample) -> Estimate:
        """Return the policy's mean outcome."""
        return Estimate.of_terms(sample.under_policy(), sample.scale)
