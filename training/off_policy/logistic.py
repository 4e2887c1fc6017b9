"""Logistic regression with weights and a ridge, by Newton's method: small, exact, and fast on a million rows.

Its outcomes may be shares in 0..1, not only labels.
"""

import numpy as np

from router.log_odds import sigmoid
from training.telemetry.logged_requests import Floats

_STEPS = 25


def fit_logistic(design: Floats, share: Floats, weight: Floats, ridge: Floats, centre: Floats | None = None) -> Floats:
    """Return the most probable coefficients (p,) under independent normal priors.

    Args:
        design: Shape (n, p), one row per outcome.
        share: Shape (n,), 0..1, outcomes: labels or probabilities.
        weight: Shape (n,), weight of each outcome.
        ridge: Shape (p,), precision of each coefficient's prior; all above 0.
        centre: Shape (p,), means of those priors; None: 0.
    """
    centre = np.zeros(design.shape[1]) if centre is None else centre
    fitted = centre.copy()
    for _ in range(_STEPS):
        chance = sigmoid(design @ fitted)
        gradient = design.T @ (weight * (share - chance)) - ridge * (fitted - centre)
        information = (design * (weight * chance * (1 - chance))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(information, gradient).clip(-2, 2)
        fitted = fitted + step
        if np.abs(step).max(initial=0.0) < 1e-7:
            break
    return np.asarray(fitted, np.float64)
