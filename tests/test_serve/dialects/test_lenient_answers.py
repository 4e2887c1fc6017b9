"""Answers with fields of odd types are read in every dialect, whole and streamed."""

from typing import Any

import msgspec
import pytest

from router.price_table import Cost, TokenUsage
from serve.dialects.exchange import Bill
from serve.dialects.quirks import NO_QUIRKS
from serve.dialects.registry import caller_dialects, exchange_between
from serve.dialects.sse import encode_event

CALLERS = sorted(caller_dialects())
ODD: dict[str, dict[str, Any]] = {
    "openai": {
        "id": 7,
        "created": 1712345678.25,
        "model": None,
        "error": None,
        "system_fingerprint": [],
        "choices": [
            {
                "index": 0.0,
                "message": {"role": "assistant", "content": [{"type": "text", "text": "hello"}], "reasoning": {}},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1000.0,
            "completion_tokens": 500,
            "prompt_tokens_details": [],
            "completion_tokens_details": {"reasoning_tokens": "none"},
        },
    },
    "anthropic": {
        "id": 7,
        "model": ["m"],
        "content": [
            {"type": "bash_code_execution_tool_result", "content": {"type": "x", "text": 1}, "id": 4},
            {"type": "text", "text": "hello", "citations": 3},
        ],
        "stop_reason": "end_turn",
        "stop_sequence": 0,
        "usage": {"input_tokens": 1000.0, "output_tokens": 500, "cache_creation": [], "output_tokens_details": 3},
    },
    "gemini": {
        "responseId": 7,
        "modelVersion": None,
        "candidates": [{"content": {"parts": [{"text": "hello", "thought": None}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1000.0, "candidatesTokenCount": 500, "thoughtsTokenCount": "0"},
    },
    "responses": {
        "id": 7,
        "status": "completed",
        "output": [
            {"type": "tool_search_call", "arguments": {"query": "crm"}},
            {"type": "message", "content": [{"type": "output_text", "text": "hello", "annotations": 1}]},
            {"type": "shell_call", "content": {"a": 1}, "action": ["ls"]},
        ],
        "usage": {"input_tokens": 1000.0, "output_tokens": 500, "input_tokens_details": []},
    },
}


def bill_of(usage: TokenUsage) -> Bill:
    return Bill(Cost(usage.prompt_tokens, usage.completion_tokens, 0, 0))


def streamed(dialect: str, body: dict[str, Any]) -> bytes:
    """Return an answer as a stream of its dialect in as few events as there can be."""
    if dialect == "openai":
        choice = body["choices"][0]
        body = {**body, "choices": [{"delta": choice["message"], "finish_reason": "stop"}]}
        return encode_event(msgspec.json.encode(body)) + encode_event(b"[DONE]")
    if dialect == "anthropic":
        start = {"type": "message_start", "message": {**body, "content": [], "stop_reason": None}}
        blocks = [
            {"type": "content_block_start", "index": index, "content_block": block}
            for index, block in enumerate(body["content"])
        ]
        end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": body["usage"]}
        events = [start, *blocks, end, {"type": "message_stop"}]
        return b"".join(encode_event(msgspec.json.encode(event)) for event in events)
    if dialect == "responses":
        return encode_event(msgspec.json.encode({"type": "response.completed", "response": body}))
    return encode_event(msgspec.json.encode(body))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("upstream", sorted(ODD))
def test_odd_types_do_not_lose_an_answer_whole_or_streamed(caller: str, upstream: str) -> None:
    body = ODD[upstream]
    exchange = exchange_between(caller, upstream)
    reply = exchange.read_whole(msgspec.json.encode(body), 1, NO_QUIRKS)
    expected = TokenUsage(1000, 500, reasoning_tokens=0 if upstream == "gemini" else None)
    assert reply.usage == expected
    assert reply.text == "hello"
    assert "hello" in msgspec.json.encode(reply.body(bill_of(reply.usage))).decode()
    relay = exchange.relay(1, bill_of, NO_QUIRKS)
    out = relay.feed(streamed(upstream, body)) + relay.finish()
    assert relay.is_complete
    assert relay.usage == expected
    assert b"hello" in out


@pytest.mark.parametrize("error", [b"null", b"{}", b'""', b"[]"])
def test_an_empty_error_in_a_chunk_is_no_error(error: bytes) -> None:
    relay = exchange_between("openai", "openai").relay(1, bill_of, NO_QUIRKS)
    relay.feed(b'data: {"choices": [{"delta": {"content": "hi", "tool_calls": null}}], "error": ' + error + b"}\n\n")
    assert relay.error is None
    assert relay.has_content


def test_fields_that_are_null_are_no_content() -> None:
    relay = exchange_between("openai", "openai").relay(1, bill_of, NO_QUIRKS)
    relay.feed(b'data: {"choices": [{"delta": {"role": "assistant", "content": "", "tool_calls": null}}]}\n\n')
    assert not relay.has_content
