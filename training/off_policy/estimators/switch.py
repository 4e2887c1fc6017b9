"""Switch-DR: doubly robust if w(x, a) is at most a threshold, the direct method above it.

Wang, Agarwal and Dudik 2017:

    mean of Q_i + w_i 1[w_i <= tau] o_i (r_i - q(x_i, a_i))

With poor overlap it has less variance than doubly robust, but a bias that its interval does not include. The threshold
is the quantile of the weights that minimises an upper estimate of the mean squared error:

    variance of the terms / n + (scale x mean of sum_a pi(a | x_i) 1[w(x_i, a) > tau])^2
"""

from dataclasses import dataclass

import numpy as np

from training.off_policy.estimators.port import Estimate, Floats, JudgedSample

_QUANTILES = np.array([0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0])


@dataclass(frozen=True, slots=True)
class SwitchDoublyRobust:
    """Switches to the direct method where weights are large; see the module's docstring.

    Args:
        threshold: Threshold of the weights; None: chosen as the module's docstring says.
    """

    threshold: float | None = None
    needs_reward_model: bool = True

    def estimate(self, sample: JudgedSample) -> Estimate:
        """Return the policy's mean outcome."""
        under_policy = sample.under_policy()
        surprise = sample.weight * sample.observation * (sample.outcome - sample.at_drawn())
        threshold = self._chosen(sample, under_policy, surprise) if self.threshold is None else self.threshold
        span = None if sample.scale is None else sample.scale * (1 + 2 * sample.largest_weight())
        return Estimate.of_terms(under_policy + np.where(sample.weight <= threshold, surprise, 0.0), span)

    def _chosen(self, sample: JudgedSample, under_policy: Floats, surprise: Floats) -> float:
        weights = sample.weight[sample.weight > 0]
        if not len(weights):
            return np.inf
        scale = sample.scale if sample.scale is not None else float(np.abs(sample.outcome).max())
        lane_weight = np.divide(
            sample.policy, sample.behaviour, out=np.full(sample.policy.shape, np.inf), where=sample.behaviour > 0
        )
        best, least = np.inf, np.inf
        for quantile in np.unique(np.quantile(weights, _QUANTILES))[::-1]:
            threshold = quantile * (1 + 1e-5)  # the two weights below are rounded differently
            terms = under_policy + np.where(sample.weight <= threshold, surprise, 0.0)
            switched = float(np.where(lane_weight > threshold, sample.policy, 0.0).sum(axis=1).mean())
            error = float(terms.var()) / len(terms) + (scale * switched) ** 2
            if error < least:
                best, least = float(threshold), error
        return best
