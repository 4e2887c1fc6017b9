"""Routing of embeddings: the caller chooses the model, so nothing is predicted."""

import numpy as np

from router.policies.cheapest import Cheapest
from serve.lanes.directories import LaneDirectories
from serve.money.spending import Spending
from serve.routing.service import RoutingService


def vector_routing(directories: LaneDirectories, rng: np.random.Generator, spending: Spending) -> RoutingService:
    """Return the routing for embedding lanes: the cheapest lane that hosts the model first, then the others.

    Args:
        directories: Embedding lanes of every account.
        rng: Random generator that the policy draws from.
        spending: Budgets that pay for the requests.
    """
    return RoutingService(directories, Cheapest(), rng, spending)
