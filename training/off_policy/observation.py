"""Estimates the probability that an answer was judged: people judge few answers, and more of some lanes than of others.

An estimate from judged answers is valid for *those* answers. Dividing by the probability of being judged makes it valid
for all answers, if that probability depends only on the request's logged columns and the lane. If people judge an
answer because it is bad, in a way that the columns do not show, no estimator here helps. Then ask for feedback on all
answers of a random share, or let a judge lane grade a random share.
"""

import numpy as np

from router.log_odds import logit, sigmoid
from training.off_policy.logistic import fit_logistic
from training.telemetry.logged_requests import Floats, LoggedRequests, Mask

LEAST_OBSERVATION = 0.002
"""Smallest probability that is used, so that a single judged answer does not stand for thousands."""
_RIDGE = 1.0


def observation_propensity(logs: LoggedRequests, is_known: Mask) -> Floats:
    """Return the probability that each request's outcome is known, shape (n,), in (0, 1].

    It is a logistic regression on the lane and on the beliefs about it.

    Args:
        logs: Logged requests.
        is_known: Shape (n,), whether the outcome is known.
    """
    n, n_known = len(logs), int(is_known.sum())
    if n_known in (0, n):
        return np.ones(n)
    design = _design(logs)
    ridge = np.full(design.shape[1], _RIDGE)
    ridge[0] = 1e-6
    coefficients = fit_logistic(design, is_known.astype(np.float64), np.ones(n), ridge)
    return np.maximum(sigmoid(design @ coefficients), LEAST_OBSERVATION)


def observation_weight(is_known: Mask, propensity: Floats) -> Floats:
    """Return o, shape (n,): 1 / probability where the outcome is known, 0 elsewhere."""
    return np.where(is_known, 1 / propensity, 0.0)


def _design(logs: LoggedRequests) -> Floats:
    """Return (1, drawn lanes, standardised beliefs and length), shape (n, 1 + lanes + 4)."""
    rows = np.arange(len(logs))
    drawn = [logs.quality, logs.quality_std, logs.expected_cost_usd]
    quality, std, cost = (values[rows, logs.chosen].astype(np.float64) for values in drawn)
    numbers = np.stack([logit(quality), std, np.log(np.maximum(cost, 1e-9)), np.log1p(logs.prompt_tokens)], axis=1)
    is_finite = np.isfinite(numbers)
    count = np.maximum(is_finite.sum(axis=0), 1)
    centred = np.where(is_finite, numbers - np.where(is_finite, numbers, 0).sum(axis=0) / count, 0)
    scale = np.sqrt((centred**2).sum(axis=0) / count)
    lanes = np.unique(logs.chosen)
    is_lane = logs.chosen[:, None] == lanes
    return np.concatenate([np.ones((len(logs), 1)), is_lane, centred / np.where(scale > 0, scale, 1)], axis=1)
