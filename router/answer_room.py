"""The chance that a model's reasoning leaves room for its answer, within the caller's limit on the output tokens.

Providers count reasoning against the limit, and it comes first. A model that reasons through the whole limit gives an
empty answer, which is billed.
"""

from typing import Final

import numpy as np

from router.arrays import Floats

_LARGEST_SHARE: Final = 0.5
"""Largest share of the limit that the visible answer needs."""
_LEAST_TOKENS: Final = 1e-3
"""Fewer tokens count as this, so that there is a logarithm."""
_MOST_DEVIATIONS: Final = 6.0
_FEWEST_REASONING_TOKENS: Final = 5.0
"""Fewer expected tokens of reasoning count as none: the belief is about a model that does not reason."""


def chance_of_room(
    completion_tokens: Floats, reasoning_tokens: Floats, limit: float | Floats, reasoning_log_std: float
) -> Floats:
    """Return the chance that reasoning leaves the visible answer the room that it needs, 0..1.

    The visible answer needs its expected length, but at most half of the limit: a caller who allows less than the
    usual length wants a short answer, and a limit that cuts visible text hits a model that does not reason too. So a
    model that does not reason has the chance 1, whatever the limit is. The length of reasoning is log-normal:

        P(reasoning <= limit - needed) = Phi((ln(limit - needed) - ln mean + std^2 / 2) / std)

    with Phi by a polynomial in a logistic function, 0.00014 off at most (Bowling, Khasawneh, Kaewkuekool and Cho 2009,
    "A logistic approximation to the cumulative normal distribution").

    Args:
        completion_tokens: Expected output tokens, reasoning included, shape (..., n_lanes).
        reasoning_tokens: The part of them that is reasoning, same shape.
        limit: The caller's limit: a number, or an array of shape (..., 1).
        reasoning_log_std: Standard deviation of the log of the reasoning tokens.
    """
    needed = np.minimum(completion_tokens - reasoning_tokens, _LARGEST_SHARE * limit)
    log_room = np.log(np.maximum(limit - needed, _LEAST_TOKENS))
    log_mean = np.log(np.where(reasoning_tokens < _FEWEST_REASONING_TOKENS, _LEAST_TOKENS, reasoning_tokens))
    deviations = (log_room - log_mean) / reasoning_log_std + reasoning_log_std / 2
    x = np.clip(deviations, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    return np.asarray(1 / (1 + np.exp(-x * (1.5976 + 0.07056 * x * x))), np.float64)
