"""The quality model of lanes without quality: those that make vectors."""

import numpy as np

from router.context import RouteContext
from router.quality_model import Prediction

_NOTHING = np.empty(0, np.float32)
_NO_BELIEF = np.zeros(1, np.float32)  # one model that no lane has: a table of beliefs cannot be empty


class NoQualityModel:
    """Predicts nothing: vectors are not good or bad answers.

    Args:
        version: Version of the bundle that routes the other requests; it is logged with these requests too.
    """

    trained_names = ("none",)

    def __init__(self, version: str) -> None:
        self.version = version

    def predict(self, context: RouteContext) -> Prediction:
        """Return no beliefs, and an answer of no length."""
        return Prediction(_NO_BELIEF, _NO_BELIEF, _NO_BELIEF, 0.0, 0.0, _NOTHING)
