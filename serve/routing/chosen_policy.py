"""The policy of smart-route: as the settings have it, or as the operator chose it while the gateway ran."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from router.policies.base import Policy
from router.policies.best_value import BestValue
from router.policies.cheapest_above_bar import CheapestAboveBar
from router.policies.near_best import NearBest
from router.policies.registry import policy_named
from serve.errors import BadRequestError
from serve.routing.service import RoutingService
from serve.settings import ENVIRONMENT_PREFIX, Settings

NUMBER_OF: Final[Mapping[str, tuple[str, float]]] = {
    "best_value": ("willingness_to_pay_usd", 1_000.0),
    "near_best": ("quality_of_best", 1.0),
    "cheapest_above_bar": ("quality_bar", 1.0),
}
"""Policy that can be chosen -> the setting that its number is, and the largest it may be."""


@dataclass(frozen=True, slots=True)
class ChosenPolicy:
    """A choice: one of `NUMBER_OF`, and its number; made by `chosen_policy`."""

    policy: str
    number: float


def chosen_policy(policy: str, number: float) -> ChosenPolicy:
    """Return a choice.

    Raises:
        BadRequestError: There is no such policy to choose, or the number is none of its numbers.
    """
    if policy not in NUMBER_OF:
        raise BadRequestError(f"policy: one of {', '.join(NUMBER_OF)}", param="policy")
    name, largest = NUMBER_OF[policy]
    if not (math.isfinite(number) and 0 <= number <= largest):
        raise BadRequestError(f"{name}: a number from 0 to {largest:g}", param="number")
    return ChosenPolicy(policy, number)


def default_policy(settings: Settings) -> Policy:
    """Return the policy that smart-route uses where the caller sets no bar."""
    if settings.policy == "best_value":
        return BestValue(settings.willingness_to_pay_usd)
    if settings.policy == "cheapest_above_bar":
        return CheapestAboveBar(settings.quality_bar)
    if settings.policy == "near_best":
        return NearBest(settings.quality_of_best)
    return policy_named(settings.policy)


class RunningPolicy:
    """Puts the operator's choice in place of the settings', unless the environment says which policy it has to be.

    Args:
        settings: As the gateway was started.
        environment: A variable of the policy, or of one of its numbers, wins over what was chosen.
        routing: Is told.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str], routing: RoutingService) -> None:
        self._settings = settings
        self._routing = routing
        names = ("policy", *(name for name, _ in NUMBER_OF.values()))
        variables = (ENVIRONMENT_PREFIX + name.upper() for name in names)
        self.held_by = tuple(variable for variable in variables if environment.get(variable))
        self.chosen: ChosenPolicy | None = None
        self.effective = settings

    def use(self, chosen: ChosenPolicy | None) -> None:
        """Decide by this choice from now on; None: by the settings."""
        self.chosen = chosen
        if self.held_by:
            return
        told = {} if chosen is None else {"policy": chosen.policy, NUMBER_OF[chosen.policy][0]: chosen.number}
        self.effective = self._settings.model_copy(update=told)
        self._routing.use_policy(default_policy(self.effective))
