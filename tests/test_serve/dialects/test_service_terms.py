"""What an answer says besides its tokens and changes its price: the service tier, and searches."""

import json
from typing import Any

import pytest

from router.price_table import Cost, TokenUsage
from serve.dialects.anthropic.native import NativeMessages
from serve.dialects.anthropic.upstream import MessagesUpstream
from serve.dialects.exchange import Bill, Exchange
from serve.dialects.gemini.upstream import GeminiUpstream
from serve.dialects.openai.conversation import read_chat_request
from serve.dialects.openai.native import NativeChat
from serve.dialects.openai.upstream import ChatUpstream
from serve.dialects.quirks import NO_QUIRKS
from serve.dialects.responses.native import NativeResponses
from serve.dialects.service_terms import allowed_searches, reported_searches, requested_tier, tier_name

MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "stop_reason": "end_turn"}
COUNTS = {"input_tokens": 10, "output_tokens": 5}
CHAT_COUNTS = {"prompt_tokens": 10, "completion_tokens": 5}
SEARCH = {"type": "web_search_call", "id": "w"}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}


def bill_of(usage: TokenUsage) -> Bill:
    return Bill(Cost(0, 0, 0, 0))


def whole(exchange: Exchange, body: dict[str, Any]) -> TokenUsage:
    return exchange.read_whole(json.dumps(body).encode(), 1, NO_QUIRKS).usage


def streamed(exchange: Exchange, *events: dict[str, Any]) -> TokenUsage:
    relay = exchange.relay(1, bill_of, NO_QUIRKS)
    for event in events:
        name = f"event: {event['type']}\n" if "type" in event else ""
        relay.feed(f"{name}data: {json.dumps(event)}\n\n".encode())
    return relay.usage


def test_a_chat_answer_names_its_service_tier_whole_and_streamed() -> None:
    body = {"choices": [CHOICE], "usage": CHAT_COUNTS, "service_tier": "flex"}
    assert whole(NativeChat(), body).service_tier == "flex"
    first = {"id": "c", "choices": [{"index": 0, "delta": {"content": "hi"}}], "service_tier": "flex"}
    last = {"id": "c", "choices": [], "usage": CHAT_COUNTS}
    assert streamed(NativeChat(), first, last).service_tier == "flex"


def test_a_chat_answer_for_another_dialect_names_its_service_tier_whole_and_streamed() -> None:
    body = {"id": "c", "choices": [CHOICE], "usage": CHAT_COUNTS, "service_tier": "priority"}
    usage = ChatUpstream().read_answer(json.dumps(body).encode(), NO_QUIRKS).usage
    assert usage is not None
    assert usage.service_tier == "priority"
    first = {"id": "c", "choices": [{"index": 0, "delta": {"content": "hi"}}], "service_tier": "priority"}
    last = {"id": "c", "choices": [], "usage": CHAT_COUNTS}
    reader = ChatUpstream().stream_reader(NO_QUIRKS)
    events = [event for piece in (first, last) for event in reader.feed(f"data: {json.dumps(piece)}\n\n".encode())]
    assert "service_tier='priority'" in repr(events)


def test_claude_counts_its_searches_whole_and_streamed() -> None:
    usage = {**COUNTS, "server_tool_use": {"web_search_requests": 5}, "service_tier": "standard", "speed": "fast"}
    assert whole(NativeMessages(), {**MESSAGE, "usage": usage}) == TokenUsage(
        10, 5, service_tier="fast", web_searches=5
    )
    start = {"type": "message_start", "message": {**MESSAGE, "usage": {"input_tokens": 10, "output_tokens": 1}}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    assert streamed(NativeMessages(), start, end).web_searches == 5
    translated = MessagesUpstream().read_answer(json.dumps({**MESSAGE, "usage": usage}).encode(), NO_QUIRKS).usage
    assert translated is not None
    assert translated.web_searches == 5


def test_a_response_has_an_item_for_each_search_and_pages_it_opened_are_none() -> None:
    opened = {**SEARCH, "action": {"type": "open_page"}}
    output = [SEARCH, {**SEARCH, "action": {"type": "search"}}, opened, {"type": "file_search_call", "id": "f"}]
    response = {"object": "response", "status": "completed", "output": output, "usage": COUNTS, "service_tier": "flex"}
    expected = TokenUsage(10, 5, service_tier="flex", web_searches=2, file_searches=1)
    assert whole(NativeResponses(), response) == expected
    assert streamed(NativeResponses(), {"type": "response.completed", "response": response}) == expected


def test_gemini_names_its_service_tier_in_the_usage() -> None:
    body = {
        "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "serviceTier": "FLEX"},
    }
    usage = GeminiUpstream().read_answer(json.dumps(body).encode(), NO_QUIRKS).usage
    assert usage == TokenUsage(10, 5, reasoning_tokens=0, service_tier="flex")


def test_fields_of_another_type_do_not_lose_the_answer() -> None:
    usage = {**CHAT_COUNTS, "server_tool_use": "none", "num_search_queries": "3"}
    assert whole(NativeChat(), {"choices": [CHOICE], "usage": usage, "service_tier": 3}) == TokenUsage(10, 5)
    odd = {**COUNTS, "server_tool_use": [], "service_tier": {}, "speed": 1}
    assert whole(NativeMessages(), {**MESSAGE, "usage": odd}) == TokenUsage(10, 5)


def test_the_standard_tier_has_no_name() -> None:
    assert [tier_name(value) for value in ("standard", "", None, 1, "Flex")] == [None, None, None, None, "flex"]
    assert reported_searches({"web_search_requests": True}, None, 2) == 2


@pytest.mark.parametrize(
    ("fields", "tier", "searches"),
    [
        ({"service_tier": "flex"}, "flex", 0),
        ({"speed": "fast", "service_tier": "auto"}, "fast", 0),
        ({"service_tier": 7}, None, 0),
        ({"tools": [{"type": "web_search_20250305", "max_uses": 3}, {"type": "web_search"}]}, None, 8),
        ({"web_search_options": {}, "tools": "none"}, None, 1),
    ],
)
def test_a_request_says_its_tier_and_how_often_it_may_search(
    fields: dict[str, Any], tier: str | None, searches: int
) -> None:
    assert (requested_tier(fields), allowed_searches(fields)) == (tier, searches)


def test_the_decision_sees_the_requested_tier() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "service_tier": "flex"}
    assert read_chat_request(json.dumps(body).encode()).context.service_tier == "flex"
