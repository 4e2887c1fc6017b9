"""Gemini's lanes behind both doors: the real gateway, real HTTP, bodies after Google's documentation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider, recorded

pytestmark = pytest.mark.slow

QUESTION: Any = [{"role": "user", "content": "What is the weather in Paris and in Zürich?"}]
PARAMETERS: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL: Any = {"name": "weather", "input_schema": PARAMETERS}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
GEMINI, GPT = "gemini/gemini-x", "gpt/gpt-x"


@pytest.fixture
def gemini() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def gpt() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def gateway(gemini: ScriptedProvider, gpt: ScriptedProvider, tmp_path: Path) -> Iterator[GatewayThread]:
    def server(name: str, provider: ScriptedProvider, vendor_model: str, dialect: str) -> dict[str, Any]:
        model = {
            "upstream_model": f"{name}-x",
            "vendor_model": vendor_model,
            "capabilities": ["tools", "images", "reasoning"],
        }
        prices = {"input_usd_per_mtok": "2", "output_usd_per_mtok": "8"}
        return {
            "id": name,
            "base_url": provider.base_url,
            "dialect": dialect,
            "key": "secret",
            "models": [{**model, **prices}],
        }

    servers = [server("gemini", gemini, "google/gemini-x", "gemini"), server("gpt", gpt, "openai/gpt-x", "openai")]
    with GatewayThread(tmp_path, servers=servers, read_timeout_s=2.0) as running:
        yield running


@pytest.fixture
def chat(gateway: GatewayThread) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def messages(gateway: GatewayThread) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0) as client:
        yield client


def test_the_model_is_in_the_path_and_the_key_in_a_header(chat: openai.OpenAI, gemini: ScriptedProvider) -> None:
    gemini.script = [recorded("gemini/answer.json"), recorded("gemini/stream.sse", pieces=9)]
    answer = chat.chat.completions.create(model=GEMINI, messages=QUESTION)
    assert answer.choices[0].message.content == "Paris."
    chunks = list(chat.chat.completions.create(model=GEMINI, messages=QUESTION, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Paris."
    assert gemini.paths == ["/v1/models/gemini-x:generateContent", "/v1/models/gemini-x:streamGenerateContent"]
    assert [headers["x-goog-api-key"] for headers in gemini.headers] == ["secret", "secret"]
    assert "model" not in gemini.requests[0]


def test_streamed_and_whole_cost_the_same_at_both_doors(
    chat: openai.OpenAI, messages: anthropic.Anthropic, gemini: ScriptedProvider, gateway: GatewayThread
) -> None:
    gemini.script = [
        recorded(f"gemini/thinking-and-tools.{kind}", pieces=23) for kind in ("json", "sse", "json", "sse")
    ]
    chat.chat.completions.create(model=GEMINI, messages=QUESTION, tools=[CHAT_TOOL])
    list(chat.chat.completions.create(model=GEMINI, messages=QUESTION, tools=[CHAT_TOOL], stream=True))
    whole = messages.messages.create(model=GEMINI, max_tokens=99, messages=QUESTION, tools=[TOOL])
    with messages.messages.stream(model=GEMINI, max_tokens=99, messages=QUESTION, tools=[TOOL]) as stream:
        streamed = stream.get_final_message()
    inputs = [{"city": "Paris", "days": 2}, {"city": "Zürich"}]
    for message in (whole, streamed):
        assert [block.input for block in message.content if block.type == "tool_use"] == inputs
        assert [block.thinking for block in message.content if block.type == "thinking"] == ["Two capitals."]
        assert message.stop_reason == "tool_use"
    rows = gateway.attempts()
    assert {row.cost_nusd for row in rows} == {525 * 2_000 + 89 * 8_000}
    assert {row.reasoning_tokens for row in rows} == {20}


@pytest.mark.parametrize("field", ["extra_content", "reasoning_details"])
def test_the_signature_of_a_call_comes_back_and_keeps_the_conversation_with_gemini(
    chat: openai.OpenAI, gemini: ScriptedProvider, gpt: ScriptedProvider, field: str
) -> None:
    gemini.script = [recorded("gemini/thinking-and-tools.json"), recorded("gemini/answer.json")]
    first = chat.chat.completions.create(model=GEMINI, messages=QUESTION, tools=[CHAT_TOOL])
    turn: Any = first.choices[0].message.model_dump(exclude_none=True)
    if field == "extra_content":  # some clients keep the one, some the other
        del turn["reasoning_details"]
    else:
        for call in turn["tool_calls"]:
            call.pop("extra_content", None)
    results: Any = [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in turn["tool_calls"]]
    raw = chat.chat.completions.with_raw_response.create(
        model="smart-route", messages=[*QUESTION, turn, *results], tools=[CHAT_TOOL]
    )
    assert raw.headers["x-llmdeal-lane"] == GEMINI
    assert gpt.requests == []
    call = gemini.requests[1]["contents"][1]["parts"][-2]
    assert call == {
        "functionCall": {"id": "fc1", "name": "weather", "args": {"city": "Paris", "days": 2}},
        "thoughtSignature": "c2ln",
    }


@pytest.mark.parametrize("kind", ["json", "sse"])
def test_the_signature_of_a_call_comes_back_through_anthropics_door_too(
    messages: anthropic.Anthropic, gemini: ScriptedProvider, gpt: ScriptedProvider, kind: str
) -> None:
    gemini.script = [recorded(f"gemini/thinking-and-tools.{kind}", pieces=11), recorded("gemini/answer.json")]
    if kind == "json":
        first = messages.messages.create(model=GEMINI, max_tokens=99, messages=QUESTION, tools=[TOOL])
    else:
        with messages.messages.stream(model=GEMINI, max_tokens=99, messages=QUESTION, tools=[TOOL]) as stream:
            first = stream.get_final_message()
    turn: Any = [block.model_dump(exclude_none=True) for block in first.content]
    results: Any = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
        for block in first.content
        if block.type == "tool_use"
    ]
    conversation: Any = [*QUESTION, {"role": "assistant", "content": turn}, {"role": "user", "content": results}]
    raw = messages.messages.with_raw_response.create(
        model="smart-route", max_tokens=99, messages=conversation, tools=[TOOL]
    )
    assert raw.headers["x-llmdeal-lane"] == GEMINI
    assert gpt.requests == []
    calls = gemini.requests[1]["contents"][1]["parts"][-2:]
    assert [call["functionCall"]["id"] for call in calls] == ["fc1", "fc2"]
    assert [call.get("thoughtSignature") for call in calls] == ["c2ln", None]


@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_refusal_by_gemini_sends_the_request_to_the_next_lane(
    chat: openai.OpenAI, gemini: ScriptedProvider, gpt: ScriptedProvider, gateway: GatewayThread, status: int
) -> None:
    gemini.script = [recorded(f"gemini/error-{status}.json", status)]
    chat.chat.completions.create(model=GEMINI, messages=QUESTION, extra_body={"models": [GPT]})
    assert [row.lane_id for row in gateway.attempts()] == [GEMINI, GPT]


def test_what_gemini_says_of_a_bad_request_reaches_the_caller(chat: openai.OpenAI, gemini: ScriptedProvider) -> None:
    gemini.script = [recorded("gemini/error-400.json", 400)]
    with pytest.raises(openai.BadRequestError, match="Unable to submit request"):
        chat.chat.completions.create(model=GEMINI, messages=QUESTION)


def test_a_stream_that_stops_short_ends_in_an_error(
    chat: openai.OpenAI, gemini: ScriptedProvider, gateway: GatewayThread
) -> None:
    gemini.script = [recorded("gemini/broken.sse")]
    with pytest.raises(openai.APIError, match="broke before its end"):
        list(chat.chat.completions.create(model=GEMINI, messages=QUESTION, stream=True))
    assert [row.outcome for row in gateway.attempts()] == ["broken_stream"]


def test_an_image_that_only_others_can_fetch_goes_to_others(chat: openai.OpenAI, gpt: ScriptedProvider) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    raw = chat.chat.completions.with_raw_response.create(
        model="smart-route", messages=[{"role": "user", "content": [image]}]
    )
    assert raw.headers["x-llmdeal-lane"] == GPT
