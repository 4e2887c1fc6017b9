"""The description of a policy: all that settings, pages, commands and logs need to know about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from router.policies.base import Policy
from router.reason import Reason

SHARE: Final = "0..1"
"""The unit of a number that is a share or a probability."""


@dataclass(frozen=True, slots=True)
class PolicyNumber:
    """The number that tunes a policy. It is never below 0.

    Args:
        setting: Name of the setting that holds it.
        label: Name of its field in a form.
        unit: `USD`, `SHARE` or another unit.
        default: Value when the setting is absent.
        largest: Largest value that can be set.
        help: Meaning of the setting.
        spec_word: Word for it in `llmdeal policy`: `bar` in `cheapest_above_bar:bar=0.8`.
    """

    setting: str
    label: str
    unit: str
    default: float
    largest: float
    help: str
    spec_word: str


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """A policy that can be named: in the settings, on the dashboard, in a request, in `llmdeal policy`.

    Args:
        name: Name in settings and logs.
        help: Sentence that says how it chooses.
        reasons: Reasons that it gives.
        make: Makes the policy; takes the number where there is one.
        number: Number that tunes it; None: it has none.
        route_field: Field of a request's `route` object that asks for this policy, and the option of `llmdeal route`.
            None: no request asks for it by a field.
        may_be_default: False when only a request can ask for it, and the operator cannot choose it for smart-route.
        needs_reference_answers: True when it needs `Candidates.bar`, which is solved on a bundle's reference answers.
    """

    name: str
    help: str
    reasons: tuple[Reason, ...]
    make: Callable[..., Policy]
    number: PolicyNumber | None = None
    route_field: str | None = None
    may_be_default: bool = True
    needs_reference_answers: bool = False

    def policy(self, number: float | None = None) -> Policy:
        """Return the policy with this number, or with its default when the number is None."""
        if self.number is None:
            return self.make()
        return self.make(self.number.default if number is None else number)
