"""Where the thoughts of a conversation were thought, as far as it matters to who can read them again. Vendors differ.

Claude's signatures hold wherever Claude runs: Anthropic's API, Bedrock, Vertex. Gemini's hold at the service that gave them: the Gemini API and Vertex
refuse each other's. What OpenAI encrypted, the account that it was encrypted for can read alone, with any of its models; Azure is an account like another.

Sources, read 2026-11-24: `canonical_system` of the Anthropic, Google and OpenAI providers in the package pydantic-ai-slim 2.68.0; for accounts, the trials in
github.com/BerriAI/litellm/pull/27703 and github.com/openai/codex/issues/3573.
"""

from collections import OrderedDict
from collections.abc import Callable

from router.lane import Capability, Lane
from router.lane_table import LaneTable

_MOST_CONVERSATIONS = 20_000
_HOME_OF: dict[Capability, Callable[[Lane], str]] = {
    Capability.OPENAI_THOUGHTS: lambda lane: lane.account,
    Capability.GEMINI_THOUGHTS: lambda lane: lane.provider,
}


class ThoughtHomes:
    """Remembers the home of each conversation's thoughts; of this process, bounded.

    Args:
        table: The lanes.
    """

    def __init__(self, table: LaneTable) -> None:
        self._table = table
        self._homes: OrderedDict[str, dict[Capability, str]] = OrderedDict()

    def adopt(self, former: "ThoughtHomes") -> None:
        """Take over the conversations of a former table; homes are known by name."""
        self._homes = former._homes.copy()

    def note_answer(self, conversation_id: str, row: int) -> None:
        """Remember that the lane in this row answered, and may have thought."""
        lane = self._table.lanes[row]
        found = {kind: home_of(lane) for kind, home_of in _HOME_OF.items() if kind in lane.capabilities}
        if found:
            self._homes[conversation_id] = self._homes.pop(conversation_id, {}) | found
            if len(self._homes) > _MOST_CONVERSATIONS:
                self._homes.popitem(last=False)

    def readers(self, conversation_id: str, required: Capability) -> frozenset[str] | None:
        """Return the ids of the lanes that can read the thoughts which a conversation carries; None: no home is known, or none matters.

        Args:
            conversation_id: Of the request.
            required: What its lane has to be able to do; says which thoughts it carries.
        """
        homes = self._homes.get(conversation_id, {})
        bound = {kind: home for kind, home in homes.items() if kind in required}
        if not bound:
            return None
        return frozenset(
            lane.lane_id
            for lane in self._table.lanes
            if all(_HOME_OF[kind](lane) == home for kind, home in bound.items())
        )
