"""Predicts the cost or latency of lanes that were not drawn: the logged belief, corrected by a factor for each lane.

The gateway already has a belief about the cost and latency of every lane: prices are known, lengths are predicted and
speeds are measured. So only one factor per lane is left to learn. It is cross-fitted like the reward model.
"""

import numpy as np
import numpy.typing as npt

from training.telemetry.logged_requests import Float32s, Floats, Ints, LoggedRequests

_PRIOR_REQUESTS = 20.0
"""Weight of the overall factor in each lane's factor, in requests."""


def cross_fit_spent(logs: LoggedRequests, believed: Float32s, outcome: Floats, fold: Ints) -> npt.NDArray[np.float32]:
    """Return the expected outcome of every lane, shape (n, m).

    Args:
        logs: Logged requests.
        believed: Shape (n, m), beliefs about the outcome; NaN if there was none.
        outcome: Shape (n,), cost or latency of the drawn lane; NaN where unknown.
        fold: Shape (n,), fold of each request.
    """
    m = len(logs.lane_ids)
    drawn = believed[np.arange(len(logs)), logs.chosen].astype(np.float64)
    is_known = np.isfinite(outcome)
    can_scale = is_known & np.isfinite(drawn) & (drawn > 0)
    expected = np.zeros(believed.shape, np.float32)
    for place in np.unique(fold):
        learnt, mine = fold != place, fold == place
        used = learnt & can_scale
        overall = float(outcome[used].sum()) / max(float(drawn[used].sum()), 1e-12) if used.any() else 1.0
        typical = np.bincount(logs.chosen[used], drawn[used], m) / np.maximum(
            np.bincount(logs.chosen[used], minlength=m), 1
        )
        prior = _PRIOR_REQUESTS * np.where(typical > 0, typical, 1.0)
        factor = (np.bincount(logs.chosen[used], outcome[used], m) + prior * overall) / (
            np.bincount(logs.chosen[used], drawn[used], m) + prior
        )
        seen = learnt & is_known
        mean = float(outcome[seen].mean()) if seen.any() else 0.0
        count = np.bincount(logs.chosen[seen], minlength=m)
        by_lane = (np.bincount(logs.chosen[seen], outcome[seen], m) + _PRIOR_REQUESTS * mean) / (
            count + _PRIOR_REQUESTS
        )
        scaled = believed[mine] * factor
        expected[mine] = np.where(np.isfinite(scaled), scaled, by_lane)
    return expected
