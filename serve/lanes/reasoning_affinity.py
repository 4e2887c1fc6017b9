"""Reasoning affinity: which lanes can read the signed or encrypted reasoning that a conversation carries.

Vendors differ:

- Claude: a signature holds wherever Claude runs (Anthropic's API, Bedrock, Vertex).
- Gemini: a signature holds at the service that gave it. The Gemini API and Vertex refuse each other's signatures.
- OpenAI: only the account that the reasoning was encrypted for can read it, with any of its models. An Azure resource
  is an account of its own.

Sources, read 2026-11-24: `canonical_system` of the Anthropic, Google and OpenAI providers in the package
pydantic-ai-slim 2.68.0; for accounts, the trials in github.com/BerriAI/litellm/pull/27703 and
github.com/openai/codex/issues/3573.
"""

from collections import OrderedDict
from collections.abc import Callable

from router.lane import Capability, Lane
from router.lane_table import LaneTable

_MOST_CONVERSATIONS = 20_000
_OWNER_OF: dict[Capability, Callable[[Lane], str]] = {
    Capability.OPENAI_THOUGHTS: lambda lane: lane.account,
    Capability.GEMINI_THOUGHTS: lambda lane: lane.provider,
}


class ReasoningAffinity:
    """Remembers who can read the reasoning of each conversation: an account or a service, by name.

    It is kept in this process alone, for the 20,000 conversations that were answered last.

    Args:
        table: The lanes.
    """

    def __init__(self, table: LaneTable) -> None:
        self._table = table
        self._owners: OrderedDict[str, dict[Capability, str]] = OrderedDict()

    def adopt(self, former: "ReasoningAffinity") -> None:
        """Take over the conversations of a former table; accounts and services keep their names."""
        self._owners = former._owners.copy()

    def note_answer(self, conversation_id: str, row: int) -> None:
        """Remember that the lane in this row answered, and may have reasoned."""
        lane = self._table.lanes[row]
        owners = {kind: owner_of(lane) for kind, owner_of in _OWNER_OF.items() if kind in lane.capabilities}
        if owners:
            self._owners[conversation_id] = self._owners.pop(conversation_id, {}) | owners
            if len(self._owners) > _MOST_CONVERSATIONS:
                self._owners.popitem(last=False)

    def readers(self, conversation_id: str, required: Capability) -> frozenset[str] | None:
        """Return the ids of the lanes that can read the reasoning of a conversation; None: all can, or it is not known.

        Args:
            conversation_id: Conversation of the request.
            required: Capabilities that the request needs; they tell which vendor's reasoning it carries.
        """
        owners = self._owners.get(conversation_id, {})
        bound = {kind: owner for kind, owner in owners.items() if kind in required}
        if not bound:
            return None
        return frozenset(
            lane.lane_id
            for lane in self._table.lanes
            if all(_OWNER_OF[kind](lane) == owner for kind, owner in bound.items())
        )
