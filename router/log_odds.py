"""Converts chances to log odds and back. The gateway and training both do it here, so that they get the same digits."""

from typing import Final

import numpy as np

from router.arrays import Float32s, Floats

LEAST_CHANCE: Final = 0.005
"""How near to 0 and 1 a chance may be before its log odds are taken, unless the caller says otherwise."""
_LARGEST_LOG_ODDS: Final = 40.0
"""Beyond this a chance is 0 or 1 to 17 digits, and larger numbers would overflow in the end."""


def logit(chance: Float32s | Floats, least: float = LEAST_CHANCE) -> Floats:
    """Return the log odds of chances, which are first kept `least` away from 0 and 1."""
    kept = np.clip(chance.astype(np.float64), least, 1 - least)
    return np.asarray(np.log(kept / (1 - kept)), np.float64)


def sigmoid(log_odds: Float32s | Floats) -> Floats:
    """Return the chances of log odds."""
    limited = np.asarray(log_odds, np.float64).clip(-_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)
    return np.asarray(1 / (1 + np.exp(-limited)), np.float64)
