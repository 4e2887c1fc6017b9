"""What the fields of one request mean to lanes that speak another dialect than its door."""

from dataclasses import dataclass

from router.lane import Capability


@dataclass(frozen=True, slots=True)
class FieldNeeds:
    """What the fields of one request mean to lanes of other dialects.

    Args:
        hints: Names of what such a lane does not get: fields, and tools as `tools.<type>`.
        binding: Names of what keeps the request with lanes of its own dialect.
        unknown: Names of fields that the table does not have.
    """

    hints: tuple[str, ...] = ()
    binding: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


NO_NEEDS = FieldNeeds()
OWN_DIALECT = {
    "anthropic": Capability.MESSAGES_DIALECT,
    "openai": Capability.CHAT_DIALECT,
    "responses": Capability.RESPONSES_DIALECT,
}
"""Capability of lanes that speak the dialect of a door themselves, by the name of the dialect."""
