"""The policy of smart-route: as the settings have it, or as the operator chose it while the gateway ran."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from router.policies.base import Policy
from router.policies.kind import PolicyNumber
from router.policies.registry import DEFAULT_POLICIES
from serve.errors import BadRequestError
from serve.routing.service import RoutingService
from serve.settings import ENVIRONMENT_PREFIX, Settings

NUMBERS: Final[Mapping[str, PolicyNumber]] = {
    name: kind.number for name, kind in DEFAULT_POLICIES.items() if kind.number is not None
}
"""Policy that can be chosen -> its number. A policy without a number is set in the settings."""


@dataclass(frozen=True, slots=True)
class ChosenPolicy:
    """A choice: one of `NUMBERS`, and the value of its number. `chosen_policy` makes it."""

    policy: str
    number: float


def chosen_policy(policy: str, number: float) -> ChosenPolicy:
    """Return a choice.

    Raises:
        BadRequestError: The policy cannot be chosen, or the number is out of its range.
    """
    if policy not in NUMBERS:
        raise BadRequestError(
            f"{policy[:40]!r} is no policy that can be chosen here. Choose one of {', '.join(NUMBERS)}.", param="policy"
        )
    setting, largest = NUMBERS[policy].setting, NUMBERS[policy].largest
    if not (math.isfinite(number) and 0 <= number <= largest):
        raise BadRequestError(
            f"{setting} is {number:g}, which is out of range. Give a number from 0 to {largest:g}.", param="number"
        )
    return ChosenPolicy(policy, number)


def default_policy(settings: Settings) -> Policy:
    """Return the policy that smart-route uses when the caller sets no bar."""
    kind = DEFAULT_POLICIES[settings.policy]
    return kind.policy(None if kind.number is None else getattr(settings, kind.number.setting))


class RunningPolicy:
    """Puts the operator's choice in place of the settings' policy, unless environment variables set the policy.

    Args:
        settings: Settings that the gateway was started with.
        environment: Environment variables; one of the policy, or of a policy's number, wins over the operator's choice.
        routing: Service whose default policy is set.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str], routing: RoutingService) -> None:
        self._settings = settings
        self._routing = routing
        names = ("policy", *(number.setting for number in NUMBERS.values()))
        variables = (ENVIRONMENT_PREFIX + name.upper() for name in names)
        self.held_by = tuple(variable for variable in variables if environment.get(variable))
        self.chosen: ChosenPolicy | None = None
        self.effective = settings

    def use(self, chosen: ChosenPolicy | None) -> None:
        """Decide by this choice from now on, or by the settings when it is None."""
        self.chosen = chosen
        if self.held_by:
            return
        changes = {} if chosen is None else {"policy": chosen.policy, NUMBERS[chosen.policy].setting: chosen.number}
        self.effective = self._settings.model_copy(update=changes)
        self._routing.use_policy(default_policy(self.effective))
