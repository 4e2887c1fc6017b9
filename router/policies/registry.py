"""The policies by name. To add one, write a file with a `KIND` in this folder, and add its name to `_FILES`."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

from router.errors import ConstraintError
from router.policies.base import Policy
from router.policies.kind import PolicyKind
from router.reason import REASONS_OF_NO_POLICY, Reason

_FILES: Final = (
    "best_value",
    "near_best",
    "cheapest_above_bar",
    "cheapest",
    "lowest_latency",
    "pinned",
)


def _kind_in(file: str) -> PolicyKind:
    kind: PolicyKind = import_module(f"router.policies.{file}").KIND
    return kind


POLICIES: Final[Mapping[str, PolicyKind]] = MappingProxyType(
    {kind.name: kind for kind in (_kind_in(file) for file in _FILES)}
)
"""All policies, in the order in which they are offered."""
DEFAULT_POLICIES: Final[Mapping[str, PolicyKind]] = MappingProxyType(
    {name: kind for name, kind in POLICIES.items() if kind.may_be_default}
)
"""The policies that smart-route can use when the caller sets no bar."""
REASONS: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        reason.value: reason
        for reason in (*(reason for kind in POLICIES.values() for reason in kind.reasons), *REASONS_OF_NO_POLICY)
    }
)
"""All reasons, by the word in headers and logs."""


def explain_reason(word: str) -> str:
    """Return a reason in words for people; a word that is no reason stays as it is."""
    return REASONS[word].explanation if word in REASONS else word


def policy_named(name: str) -> Policy:
    """Return a policy with its default number.

    Raises:
        ConstraintError: No policy has this name.
    """
    if name not in POLICIES:
        raise ConstraintError(f"unknown policy {name!r}: use one of {', '.join(sorted(POLICIES))}", "policy")
    return POLICIES[name].policy()
