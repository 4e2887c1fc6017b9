"""What the routing knows of a shadow."""

from typing import Protocol

from router.context import Constraints
from router.expectation import LaneState
from serve.routing.call import Call


class ShadowPort(Protocol):
    """Takes decided requests, without making them wait."""

    def offer(self, call: Call, state: LaneState, constraints: Constraints) -> None:
        """Take a request, with what it was decided on, or drop it."""
        ...
