"""Which lanes can read a conversation's reasoning: those of one account, of one service, or all that run the model."""

from dataclasses import replace

import pytest
from any_lane import LANE

from router.lane import Capability, Lane
from router.lane_table import LaneTable
from serve.lanes.reasoning_affinity import ReasoningAffinity


def lane(lane_id: str, kind: Capability, account: str | None = None) -> Lane:
    provider = lane_id.partition("/")[0].partition("@")[0]
    return replace(LANE, lane_id=lane_id, provider=provider, account=account or provider, capabilities=kind)


OPENAI, GEMINI, CLAUDE = Capability.OPENAI_THOUGHTS, Capability.GEMINI_THOUGHTS, Capability.CLAUDE_THOUGHTS
LANES = (
    lane("openai/gpt", OPENAI),
    lane("openai/gpt-mini", OPENAI),
    lane("openai@work/gpt", OPENAI, "openai@work"),
    lane("azure/gpt", OPENAI),
    lane("gemini/pro", GEMINI),
    lane("gemini@work/flash", GEMINI, "gemini@work"),
    lane("vertex/pro", GEMINI),
    lane("anthropic/claude", CLAUDE),
    lane("bedrock/claude", CLAUDE),
)
ROWS = {each.lane_id: row for row, each in enumerate(LANES)}


@pytest.fixture
def affinity() -> ReasoningAffinity:
    return ReasoningAffinity(LaneTable.build(LANES, ()))


def test_what_openai_encrypted_stays_with_the_account_that_it_was_encrypted_for(affinity: ReasoningAffinity) -> None:
    affinity.note_answer("talk", ROWS["openai/gpt"])
    affinity.note_answer("other", ROWS["azure/gpt"])
    assert affinity.readers("talk", OPENAI | Capability.TOOLS) == {"openai/gpt", "openai/gpt-mini"}
    assert affinity.readers("other", OPENAI) == {"azure/gpt"}


def test_what_gemini_signed_stays_with_the_service_whatever_the_account(affinity: ReasoningAffinity) -> None:
    affinity.note_answer("talk", ROWS["gemini/pro"])
    assert affinity.readers("talk", GEMINI) == {"gemini/pro", "gemini@work/flash"}


def test_what_claude_signed_is_read_wherever_claude_runs(affinity: ReasoningAffinity) -> None:
    affinity.note_answer("talk", ROWS["bedrock/claude"])
    assert affinity.readers("talk", CLAUDE) is None


def test_a_conversation_that_carries_no_reasoning_may_go_anywhere(affinity: ReasoningAffinity) -> None:
    affinity.note_answer("talk", ROWS["openai/gpt"])
    assert affinity.readers("talk", Capability.TOOLS) is None
    assert affinity.readers("unknown", OPENAI) is None


def test_an_answer_of_another_vendor_in_between_changes_nothing(affinity: ReasoningAffinity) -> None:
    affinity.note_answer("talk", ROWS["azure/gpt"])
    affinity.note_answer("talk", ROWS["gemini/pro"])
    affinity.note_answer("talk", ROWS["anthropic/claude"])
    assert affinity.readers("talk", OPENAI) == {"azure/gpt"}
    assert affinity.readers("talk", OPENAI | GEMINI) == set()
