"""Any bytes at a door are read or refused with a message, also by a translation. They never cause a defect of ours."""

import copy
from typing import Any

import msgspec
import pytest
from any_lane import LANE
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.dialects.inquiry import Inquiry
from serve.dialects.quirks import NO_QUIRKS, Quirks
from serve.dialects.registry import exchange_between, upstream_dialects
from serve.errors import BadRequestError, TooLargeError
from serve.http.doors import CHAT, COUNT_TOKENS, MESSAGES, RESPONSES, Door

TOOL_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT_BODY: dict[str, Any] = {
    "model": "smart-route",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {}},
                }
            ],
            "reasoning_details": [
                {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"}
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": TOOL_SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "reasoning": {"effort": "low"},
    "max_tokens": 5,
    "stop": ["x"],
    "provider": {"order": ["a"], "max_price": {"prompt": 1}},
    "route": {"quality": 0.5},
}
MESSAGES_BODY: dict[str, Any] = {
    "model": "smart-route",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "x"}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"}}
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "1"}]}],
        },
    ],
    "tools": [{"name": "f", "input_schema": TOOL_SCHEMA}],
    "tool_choice": {"type": "tool", "name": "f"},
    "thinking": {"type": "enabled", "budget_tokens": 2_000},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "metadata": {"user_id": "u"},
}
RESPONSES_BODY: dict[str, Any] = {
    "model": "smart-route",
    "instructions": "x",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA"},
            ],
        },
        {
            "type": "reasoning",
            "id": "r",
            "summary": [{"type": "summary_text", "text": "t"}],
            "encrypted_content": "abc",
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": TOOL_SCHEMA}],
    "tool_choice": {"type": "function", "name": "f"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
}
DOORS = [(CHAT, CHAT_BODY), (MESSAGES, MESSAGES_BODY), (COUNT_TOKENS, MESSAGES_BODY), (RESPONSES, RESPONSES_BODY)]
BUDGETED = Quirks(takes_thinking_budget=True, keeps_cache_control=True, kept_thoughts=frozenset({"reasoning_details"}))

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    paths = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        paths += places(inner, (*path, key))
    return paths


@st.composite
def damaged(draw: st.DrawFn, body: dict[str, Any]) -> dict[str, Any]:
    """A sound body in which some places hold something else, or nothing."""
    changed = copy.deepcopy(body)
    for path in draw(st.lists(st.sampled_from(places(body)), min_size=1, max_size=3)):
        target: Any = changed
        try:
            for key in path[:-1]:
                target = target[key]
            if draw(st.booleans()) and isinstance(target, dict):
                target.pop(path[-1], None)
            else:
                target[path[-1]] = draw(json_values)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return changed


def carry_everywhere(inquiry: Inquiry) -> None:
    """Write the request in every dialect."""
    for upstream in upstream_dialects():
        for quirks in (NO_QUIRKS, BUDGETED):
            exchange_between(inquiry.dialect, upstream).encode_request(inquiry, LANE, quirks)


@pytest.mark.parametrize(("door", "body"), DOORS, ids=["chat", "messages", "count tokens", "responses"])
def test_a_sound_body_is_read_and_carried_everywhere(door: Door, body: dict[str, Any]) -> None:
    carry_everywhere(door.read(msgspec.json.encode(body)))


@pytest.mark.parametrize(("door", "body"), DOORS, ids=["chat", "messages", "count tokens", "responses"])
@given(data=st.data())
@settings(max_examples=150)
def test_a_damaged_body_is_read_or_refused_in_words(door: Door, body: dict[str, Any], data: st.DataObject) -> None:
    refusal: BadRequestError | TooLargeError | None = None
    try:
        carry_everywhere(door.read(msgspec.json.encode(data.draw(damaged(body)))))
    except (BadRequestError, TooLargeError) as refused:
        refusal = refused
    if refusal is not None:
        assert refusal.message
        assert door.error_envelope(refusal).error.message == refusal.message


@pytest.mark.parametrize(("door", "body"), DOORS, ids=["chat", "messages", "count tokens", "responses"])
@given(raw=st.binary(max_size=60) | json_values.map(msgspec.json.encode))
def test_anything_else_is_refused_in_words(door: Door, body: dict[str, Any], raw: bytes) -> None:
    with pytest.raises(BadRequestError):
        door.read(raw)
