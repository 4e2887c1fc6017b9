"""Routing of embeddings: the model is the caller's choice, and nothing is there to be predicted."""

import numpy as np

from router.context import RouteContext
from router.policies.cheapest import Cheapest
from router.quality_model import Prediction
from serve.lanes.directories import LaneDirectories
from serve.money.spending import Spending
from serve.routing.service import RoutingService

_NOTHING = np.empty(0, np.float32)
_NO_BELIEF = np.zeros(1, np.float32)  # of one model that no lane has: beliefs about none cannot be looked up


class NoQualityModel:
    """Believes nothing: vectors are not good or bad answers.

    Args:
        version: Of the bundle that routes the other requests; logged with these too.
    """

    trained_names = ("none",)

    def __init__(self, version: str) -> None:
        self.version = version

    def predict(self, context: RouteContext) -> Prediction:
        """Return no beliefs, and an answer of no length."""
        return Prediction(_NO_BELIEF, _NO_BELIEF, _NO_BELIEF, 0.0, 0.0, _NOTHING)


def vector_routing(directories: LaneDirectories, rng: np.random.Generator, spending: Spending) -> RoutingService:
    """Return the routing for the lanes that make vectors: the cheapest one that hosts the model, and then the others.

    Args:
        directories: Those lanes, of every account.
        rng: For policies that draw.
        spending: Who pays.
    """
    return RoutingService(directories, Cheapest(), rng, spending)
