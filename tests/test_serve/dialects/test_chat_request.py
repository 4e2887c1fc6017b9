"""Requests are checked once, at the door, and errors name the field."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.lane import Capability
from serve.dialects.openai.chat_request import parse_chat_request
from serve.dialects.openai.conversation import route_context
from serve.dialects.openai.upstream_request import encode_upstream_body
from serve.dialects.quirks import Quirks
from serve.dialects.seen_conversation import TOKENS_PER_IMAGE
from serve.errors import BadRequestError, TooLargeError

HELLO = [{"role": "user", "content": "hello"}]


def raw(**fields: object) -> bytes:
    return msgspec.json.encode({"model": "smart-route", "messages": HELLO, **fields})


def context_of(**fields: object) -> Any:
    request, body = parse_chat_request(raw(**fields))
    return route_context(request, body)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"\xff\xfe", None),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "model"),
        (raw(messages=[]), "messages"),
        (raw(messages=[{"content": "x"}]), "messages[0]"),
        (raw(messages="hello"), "messages"),
        (raw(max_tokens=0), "max_tokens"),
        (raw(stream="yes"), "stream"),
        (raw(route={"quality": 1.5}), "route.quality"),
        (raw(route={"qualty": 0.5}), "route"),
        (raw(route={"region": "mars"}), "route.region"),
        (raw(provider={"sort": "cheap"}), "provider.sort"),
        (raw(provider={"max_price": {"prompt": -1}}), "provider.max_price.prompt"),
        (raw(session_id="x" * 257), "session_id"),
    ],
)
def test_a_malformed_request_is_refused_with_the_field_at_fault(body: bytes, param: str | None) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_chat_request(body)
    assert caught.value.param == param


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_no_body_ends_in_anything_but_a_request_or_a_clear_refusal(body: object) -> None:
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    with pytest.raises(BadRequestError):
        parse_chat_request(encoded)


def test_the_whole_conversation_is_read_and_not_its_last_message() -> None:
    messages = [
        {"role": "user", "content": "prove Fermat's last theorem"},
        {"role": "assistant", "content": "…"},
        {"role": "user", "content": "go on"},
    ]
    context = context_of(messages=messages)
    assert "Fermat" in context.text
    assert "go on" in context.text
    assert context.n_turns == 3


@pytest.mark.parametrize(
    ("fields", "required"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, Capability.TOOLS),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, Capability.JSON_SCHEMA),
        ({"response_format": {"type": "json_object"}}, Capability.JSON_OBJECT),
        ({"response_format": {"type": "text"}}, Capability.NONE),
        ({"logprobs": True}, Capability.LOGPROBS),
        ({"n": 2}, Capability.MULTIPLE_CHOICES),
        ({"n": 1}, Capability.NONE),
        ({"reasoning_effort": "high"}, Capability.REASONING),
        ({"tools": []}, Capability.NONE),
    ],
)
def test_what_a_request_cannot_do_without_is_required_of_the_lane(
    fields: dict[str, object], required: Capability
) -> None:
    assert context_of(**fields).required == required


def test_images_require_eyes_and_count_as_tokens() -> None:
    parts = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    context = context_of(messages=[{"role": "user", "content": parts}])
    assert context.required == Capability.IMAGES
    assert context.prompt_tokens > TOKENS_PER_IMAGE


def test_a_conversation_without_anything_to_answer_is_refused() -> None:
    with pytest.raises(BadRequestError, match="no text"):
        context_of(messages=[{"role": "user", "content": "  "}])


def test_a_conversation_longer_than_the_limit_is_refused_as_too_large() -> None:
    with pytest.raises(TooLargeError, match="1,000,001 characters"):
        context_of(messages=[{"role": "user", "content": "x" * 1_000_001}])


def test_upstream_gets_the_callers_fields_and_none_of_ours() -> None:
    _, body = parse_chat_request(
        raw(temperature=0.5, unheard_of={"a": 1}, route={"quality": 0.5}, provider={"zdr": True}, models=["a/b"])
    )
    sent = msgspec.json.decode(encode_upstream_body(body, "gpt-x"))
    assert sent == {"model": "gpt-x", "messages": HELLO, "temperature": 0.5, "unheard_of": {"a": 1}}


def test_a_stream_asks_for_its_usage_unless_the_provider_refuses_the_option() -> None:
    _, body = parse_chat_request(raw(stream=True, stream_options={"other": 1}))
    asked = msgspec.json.decode(encode_upstream_body(body, "m"))
    assert asked["stream_options"] == {"other": 1, "include_usage": True}
    assert "stream_options" not in msgspec.json.decode(
        encode_upstream_body(body, "m", Quirks(stream_usage="rejects_option"))
    )


def test_quirks_are_applied_to_a_copy() -> None:
    messages = [*HELLO, {"role": "assistant", "content": "x", "tool_calls": []}]
    _, body = parse_chat_request(
        raw(messages=messages, max_completion_tokens=9, user="u", tool_choice="required", tools=[{"type": "function"}])
    )
    quirks = Quirks(
        {"max_completion_tokens": "max_tokens"}, frozenset({"user"}), {"required": "any"}, rejects_empty_tool_calls=True
    )
    sent = msgspec.json.decode(encode_upstream_body(body, "m", quirks))
    assert sent["max_tokens"] == 9
    assert "max_completion_tokens" not in sent
    assert "user" not in sent
    assert sent["tool_choice"] == "any"
    assert "tool_calls" not in sent["messages"][1]
    assert body["max_completion_tokens"] == 9
    assert body["messages"] == messages
