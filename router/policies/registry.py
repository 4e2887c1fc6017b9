"""The policies by name: adding one is a file beside this and a line here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from router.errors import ConstraintError
from router.policies.base import Policy
from router.policies.best_value import BestValue
from router.policies.cheapest import Cheapest
from router.policies.cheapest_above_bar import CheapestAboveBar
from router.policies.lowest_latency import LowestLatency
from router.policies.near_best import NearBest
from router.policies.pinned import Pinned

POLICIES: Mapping[str, Callable[[], Policy]] = MappingProxyType(
    {
        "best_value": BestValue,
        "cheapest": Cheapest,
        "cheapest_above_bar": CheapestAboveBar,
        "lowest_latency": LowestLatency,
        "near_best": NearBest,
        "pinned": Pinned,
    }
)


def policy_named(name: str) -> Policy:
    """Return a policy with its default settings.

    Raises:
        ConstraintError: No policy has this name.
    """
    if name not in POLICIES:
        raise ConstraintError(f"unknown policy {name!r}: use one of {', '.join(sorted(POLICIES))}", "policy")
    return POLICIES[name]()
