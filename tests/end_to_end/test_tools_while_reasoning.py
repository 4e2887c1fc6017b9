"""Tools next to an effort at OpenAI: asked over Responses, answered in the dialect of the caller."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from aiohttp import web
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import Behaviour, ScriptedProvider

pytestmark = pytest.mark.slow

CITY: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
QUESTION: Any = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]
HEAD = {"id": "resp_1", "object": "response", "model": "gpt-5.5"}
SPOKEN = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]}
USAGE = {"input_tokens": 30, "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 8}}


def call(number: int, city: str) -> dict[str, Any]:
    arguments = json.dumps({"city": city})
    return {"type": "function_call", "call_id": f"call_{number}", "name": "weather", "arguments": arguments}


OUTPUT = [{"type": "reasoning", "summary": []}, SPOKEN, call(0, "Paris"), call(1, "Rome")]
DONE = {**HEAD, "status": "completed", "output": OUTPUT, "usage": USAGE}


def events() -> Iterator[dict[str, Any]]:
    """Yield the events of a stream with words and two calls."""
    yield {"type": "response.created", "response": {**HEAD, "status": "in_progress"}}
    for place, item in enumerate(OUTPUT):
        yield {"type": "response.output_item.added", "output_index": place, "item": {**item, "arguments": ""}}
        if item["type"] == "message":
            for word in ("I ", "look."):
                yield {"type": "response.output_text.delta", "output_index": place, "delta": word}
        text = str(item.get("arguments") or "")
        for piece in (text[:6], text[6:]) if text else ():
            yield {"type": "response.function_call_arguments.delta", "output_index": place, "delta": piece}
        yield {"type": "response.output_item.done", "output_index": place, "item": item}
    yield {"type": "response.completed", "response": DONE}


async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    assert request.path.endswith("/responses")
    if not body.get("stream"):
        return web.json_response(DONE)
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for event in events():
        await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    return response


def sending(*sent: dict[str, Any]) -> Behaviour:
    async def behaviour(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for event in sent:
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
        return response

    return behaviour


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(usually=answer) as running:
        yield running


@pytest.fixture
def gateway(provider: ScriptedProvider, tmp_path: Path) -> Iterator[GatewayThread]:
    rows = {"openai": {"key": "a-key-of-the-test", "base_url": provider.base_url}}
    with GatewayThread(tmp_path, providers=rows) as running:
        yield running


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_messages_caller_gets_the_calls_of_a_model_that_reasons(
    is_streamed: bool, gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    body: Any = {
        "model": "openai/gpt-5.5",
        "max_tokens": 4_000,
        "messages": QUESTION,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "tools": [{"name": "weather", "input_schema": CITY}],
    }
    with anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0) as client:
        if is_streamed:
            with client.messages.stream(**body) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**body)
    spoken = [block.text for block in message.content if block.type == "text"]
    calls = [(block.id, block.input) for block in message.content if block.type == "tool_use"]
    assert spoken == ["I look."]
    assert calls == [("call_0", {"city": "Paris"}), ("call_1", {"city": "Rome"})]
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 20)
    assert provider.requests[0]["reasoning"] == {"effort": "high"}
    (attempt,) = gateway.attempts()
    assert (attempt.outcome, attempt.completion_tokens) == ("ok", 20)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_chat_caller_gets_the_calls_of_a_model_that_reasons(
    is_streamed: bool, gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
    body: Any = {"model": "openai/gpt-5.5", "messages": QUESTION, "tools": [tool], "reasoning_effort": "low"}
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        if is_streamed:
            with client.chat.completions.stream(**body) as stream:
                completion = stream.get_final_completion()
        else:
            completion = client.chat.completions.create(**body)
    (choice,) = completion.choices
    assert (choice.message.content, choice.finish_reason) == ("I look.", "tool_calls")
    calls = [(each.id, json.loads(each.function.arguments)["city"]) for each in choice.message.tool_calls or ()]
    assert calls == [("call_0", "Paris"), ("call_1", "Rome")]
    assert provider.requests[0]["reasoning"] == {"effort": "low"}


def test_without_tools_or_without_an_effort_chat_completions_are_asked(
    gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    paths = []

    async def note(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        paths.append(request.path.rpartition("/v1")[2])
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}
        return web.json_response({"id": "1", "model": "m", "choices": [choice]})

    provider.usually = note
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        body: Any = {"model": "openai/gpt-5.5", "messages": QUESTION}
        client.chat.completions.create(**body, reasoning_effort="low")
        client.chat.completions.create(**body, tools=[tool])
        client.chat.completions.create(**body, tools=[tool], reasoning_effort="none")
    assert paths == ["/chat/completions"] * 3


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "message": "overloaded"},
        {"type": "response.failed", "response": {**HEAD, "status": "failed", "error": {"message": "overloaded"}}},
    ],
)
def test_a_stream_that_begins_with_an_error_is_a_failed_attempt(
    event: dict[str, Any], gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    provider.usually = sending(event)
    tool: Any = {"name": "weather", "input_schema": CITY}
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError, match="every attempted lane failed"),
        client.messages.stream(
            model="openai/gpt-5.5",
            max_tokens=99,
            messages=QUESTION,
            tools=[tool],
            thinking={"type": "adaptive"},
        ) as stream,
    ):
        stream.get_final_message()


def test_an_answer_that_was_cut_says_so(gateway: GatewayThread, provider: ScriptedProvider) -> None:
    details = {"reason": "max_output_tokens"}
    cut = {**DONE, "status": "incomplete", "incomplete_details": details, "output": [SPOKEN]}
    provider.usually = sending(
        {"type": "response.created", "response": HEAD},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "I look."},
        {"type": "response.incomplete", "response": cut},
    )
    tool: Any = {"name": "weather", "input_schema": CITY}
    body: Any = {"model": "openai/gpt-5.5", "max_tokens": 99, "messages": QUESTION, "thinking": {"type": "adaptive"}}
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0) as client,
        client.messages.stream(**body, tools=[tool]) as stream,
    ):
        assert stream.get_final_message().stop_reason == "max_tokens"
