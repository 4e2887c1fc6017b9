"""What the routing needs of a shadow."""

from typing import Protocol

from router.context import Constraints
from router.expectation import LaneState
from serve.routing.call import Call


class ShadowPort(Protocol):
    """Takes decided requests, and never makes them wait."""

    def offer(self, call: Call, state: LaneState, constraints: Constraints) -> None:
        """Take or drop a request, with the state and the constraints that it was decided on."""
        ...
