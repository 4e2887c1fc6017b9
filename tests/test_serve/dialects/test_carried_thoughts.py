"""Signatures of thoughts go to callers of another dialect, and come back for their own vendor alone."""

from typing import Any

import msgspec
import pytest
from dialect_strategies import arguments, call_ids, names
from hypothesis import given
from hypothesis import strategies as st

from router.lane import Capability
from router.price_table import Cost, TokenUsage
from serve.dialects.exchange import Bill
from serve.dialects.neutral.answer import Finished, NeutralAnswer, ToolArguments, ToolCallBegan
from serve.dialects.neutral.parts import TextPart, ToolCallPart
from serve.dialects.registry import caller_dialects
from serve.dialects.sse import EventSplitter, event_data
from serve.errors import BadRequestError
from serve.http.doors import MESSAGES, RESPONSES


@given(
    calls=st.lists(
        st.tuples(call_ids, names, arguments, st.none() | st.text(min_size=1)),
        min_size=1,
        max_size=3,
        unique_by=lambda call: call[0],
    )
)
@pytest.mark.parametrize("door", ["anthropic", "responses"])
@pytest.mark.parametrize("is_streaming", [False, True])
def test_the_signature_of_a_call_survives_the_way_to_the_caller_and_back(
    door: str, is_streaming: bool, calls: list[tuple[str, str, str, str | None]]
) -> None:
    answered = tuple(ToolCallPart(call_id, name, json, signature) for call_id, name, json, signature in calls)
    usage, bill = TokenUsage(1, 1), Bill(Cost(0, 0, 0, 0))
    if is_streaming:
        writer = caller_dialects()[door].stream_writer()
        raw = b"".join(
            writer.write(ToolCallBegan(number, part.call_id, part.name, part.signature))
            + writer.write(ToolArguments(number, part.arguments))
            for number, part in enumerate(answered)
        )
        body = streamed_answer(door, raw + writer.write(Finished("tool_calls")) + writer.finish(usage, bill))
    else:
        body = caller_dialects()[door].write_answer(
            NeutralAnswer("id", "m", answered, "tool_calls", usage), usage, bill
        )
    if door == "anthropic":
        turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": body["content"]}]
        inquiry = MESSAGES.read(msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": turns}))
    else:
        inquiry = RESPONSES.read(
            msgspec.json.encode({"model": "m", "input": [{"role": "user", "content": "hi"}, *body["output"]]})
        )
    parts = [part for turn in inquiry.neutral.turns for part in turn.parts if not isinstance(part, TextPart)]
    assert [(part.call_id, part.name, part.signature) for part in parts if isinstance(part, ToolCallPart)] == [
        (part.call_id, part.name, part.signature) for part in answered
    ]
    assert len(parts) == len(answered)
    is_signed = any(part.signature for part in answered)
    assert bool(inquiry.context.required & Capability.GEMINI_THOUGHTS) is is_signed
    assert not inquiry.context.required & Capability.CLAUDE_THOUGHTS


def streamed_answer(door: str, raw: bytes) -> dict[str, Any]:
    """Put the calls of a stream together as the vendors' SDKs do."""
    events = [
        msgspec.json.decode(data)
        for event in EventSplitter().feed(raw)
        if (data := event_data(event)) not in (None, b"[DONE]")
    ]
    if door == "responses":
        response: dict[str, Any] = events[-1]["response"]
        return response
    blocks: list[dict[str, Any]] = []
    arguments_json = ""
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"])
            arguments_json = ""
        elif event["type"] == "content_block_delta":
            arguments_json += event["delta"]["partial_json"]
        elif event["type"] == "content_block_stop" and arguments_json:
            blocks[-1]["input"] = msgspec.json.decode(arguments_json)
    return {"content": blocks}


@pytest.mark.parametrize("data", ["llmdeal.", "llmdeal.abc", "llmdeal.!", "llmdeal.bnVsbA=="])
def test_a_carried_thought_that_was_changed_on_the_way_is_refused_by_field(data: str) -> None:
    thought = {"type": "redacted_thinking", "data": data}
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [thought]}],
    }
    with pytest.raises(BadRequestError, match="changed on the way") as refused:
        MESSAGES.read(msgspec.json.encode(body))
    assert refused.value.param == "messages"
