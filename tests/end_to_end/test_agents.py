"""Requests as Claude Code and Codex CLI send them by default reach lanes of every dialect that have tools."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from aiohttp import web
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import Behaviour, ScriptedProvider, recorded

pytestmark = pytest.mark.slow

QUESTION: Any = [{"role": "user", "content": "What is the weather in Paris and in Zürich?"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ANSWERS = {"anthropic": "anthropic", "openai": "openai", "gemini": "gemini", "bedrock": "bedrock"}
CLAUDE_CODE: dict[str, Any] = {
    "max_tokens": 32_000,
    "stream": False,
    "thinking": {"type": "adaptive"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "high"},
    "metadata": {"user_id": "user_" + "0a" * 32 + "_account__session_12345678-1234-1234-1234-123456789012"},
    "system": [{"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}}],
    "tools": [
        {"name": "weather", "description": "Weather.", "input_schema": CITY},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"type": "memory_20250818", "name": "memory"},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
    ],
}
CODEX: dict[str, Any] = {
    "instructions": "You are an agent.",
    "tools": [
        {"type": "function", "name": "weather", "description": "Weather.", "parameters": CITY, "strict": False},
        {
            "type": "namespace",
            "name": "crm",
            "description": "Customers.",
            "tools": [{"type": "function", "name": "find"}],
        },
        {"type": "custom", "name": "note", "description": "Note.", "format": {"type": "text"}},
        {"type": "apply_patch"},
        {"type": "web_search", "external_web_access": False},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "text": {"verbosity": "low"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
    "prompt_cache_key": "c1",
    "client_metadata": {"installation": "i1"},
}


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def gateway(provider: ScriptedProvider, tmp_path: Path) -> Iterator[GatewayThread]:
    servers = [
        {
            "id": dialect,
            "base_url": provider.base_url,
            "dialect": dialect,
            "models": [
                {
                    "upstream_model": "m",
                    "capabilities": ["tools"],
                    "context_tokens": 200_000,
                    "max_output_tokens": 64_000,
                }
            ],
        }
        for dialect in ANSWERS
    ]
    with GatewayThread(tmp_path, servers=servers) as running:
        yield running


def calling(*calls: tuple[str, str], is_streamed: bool = False) -> Behaviour:
    """Answer a chat completion with calls: name and arguments."""
    called = [
        {"index": place, "id": f"c{place}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for place, (name, arguments) in enumerate(calls)
    ]
    head = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}

    async def behaviour(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        message = {"role": "assistant", "content": None, "tool_calls": called}
        if not is_streamed:
            choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
            return web.json_response({**head, "choices": [choice]})
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        chunks: list[dict[str, Any]] = []
        for call in called:
            text = call["function"]["arguments"]
            begun = {**call, "function": {"name": call["function"]["name"], "arguments": text[:5]}}
            rest = {"index": call["index"], "function": {"arguments": text[5:]}}
            chunks += [{"delta": {"tool_calls": [piece]}} for piece in (begun, rest)]
        chunks.append({"delta": {}, "finish_reason": "tool_calls"})
        for chunk in chunks:
            await response.write(f"data: {json.dumps({**head, 'choices': [{'index': 0, **chunk}]})}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    return behaviour


@pytest.mark.parametrize("dialect", ANSWERS)
def test_claude_code_reaches_lanes_of_every_dialect(
    dialect: str, gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    if dialect != "openai":
        provider.script = [recorded(f"{dialect}/answer.json")]
    answer = httpx.post(
        f"{gateway.url}/v1/messages", json={"model": f"{dialect}/m", "messages": QUESTION, **CLAUDE_CODE}
    )
    assert answer.status_code == 200, answer.text
    sent = json.dumps(provider.requests[0])
    assert ("web_search" in sent) == (dialect == "anthropic")
    assert "str_replace_based_edit_tool" in sent
    dropped = answer.headers.get("x-llmdeal-dropped", "")
    expected = "" if dialect == "anthropic" else "context_management, tools.web_search_20250305"
    assert dropped == expected


@pytest.mark.parametrize("dialect", ANSWERS)
def test_codex_reaches_lanes_of_every_dialect(dialect: str, gateway: GatewayThread, provider: ScriptedProvider) -> None:
    if dialect != "openai":
        provider.script = [recorded(f"{dialect}/answer.json")]
    answer = httpx.post(f"{gateway.url}/v1/responses", json={"model": f"{dialect}/m", "input": QUESTION, **CODEX})
    assert answer.status_code == 200, answer.text
    assert "crm__find" in json.dumps(provider.requests[0])
    assert answer.headers["x-llmdeal-dropped"] == "client_metadata, prompt_cache_key, tools.web_search"


def test_tools_that_run_at_the_caller_have_their_published_schema_elsewhere(
    gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    provider.script = [calling(("bash", '{"command": "ls"}'))]
    with anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0) as client:
        message = client.beta.messages.create(
            model="openai/m", messages=QUESTION, **{**CLAUDE_CODE, "max_tokens": 1_000}
        )
    tools = {tool["function"]["name"]: tool["function"] for tool in provider.requests[0]["tools"]}
    assert tools["bash"]["parameters"]["properties"].keys() == {"command", "restart"}
    assert tools["memory"]["parameters"]["required"] == ["command"]
    assert "view_range" in tools["str_replace_based_edit_tool"]["parameters"]["properties"]
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [("bash", {"command": "ls"})]


CALLS = (
    ("crm__find", '{"q": "Ada"}'),
    ("note", '{"input": "buy milk\\n"}'),
    ("apply_patch", '{"type": "delete_file", "path": "a.txt"}'),
)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_calls_come_back_to_codex_as_what_its_tools_were(
    is_streamed: bool, gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    provider.script = [calling(*CALLS, is_streamed=is_streamed)]
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        body: Any = {"model": "openai/m", "input": QUESTION, "extra_body": {"client_metadata": {"a": "b"}}, **CODEX}
        body.pop("client_metadata")
        if is_streamed:
            events = list(client.responses.create(stream=True, **body))
            output = next(event.response.output for event in events if event.type == "response.completed")
            done = [event.item for event in events if event.type == "response.output_item.done"]
            assert [item.model_dump() for item in done] == [item.model_dump() for item in output]
            assert [event.input for event in events if event.type == "response.custom_tool_call_input.done"] == [
                "buy milk\n"
            ]
        else:
            output = client.responses.create(**body).output
    function, custom, patch = output
    assert function.type == "function_call"
    assert (function.namespace, function.name, function.arguments) == ("crm", "find", '{"q": "Ada"}')
    assert custom.type == "custom_tool_call"
    assert (custom.name, custom.input) == ("note", "buy milk\n")
    assert patch.type == "apply_patch_call"
    assert patch.operation.model_dump() == {"type": "delete_file", "path": "a.txt"}


def test_what_codex_sends_back_is_what_the_provider_called(gateway: GatewayThread, provider: ScriptedProvider) -> None:
    history = [
        *QUESTION,
        {"type": "function_call", "call_id": "c0", "namespace": "crm", "name": "find", "arguments": '{"q": "Ada"}'},
        {"type": "custom_tool_call", "call_id": "c1", "name": "note", "input": "buy milk\n"},
        {"type": "apply_patch_call", "call_id": "c2", "operation": {"type": "delete_file", "path": "a.txt"}},
        {"type": "function_call_output", "call_id": "c0", "output": "found"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "noted"},
        {"type": "apply_patch_call_output", "call_id": "c2", "status": "failed", "output": "no such file"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
    ]
    answer = httpx.post(f"{gateway.url}/v1/responses", json={"model": "openai/m", "input": history, **CODEX})
    assert answer.status_code == 200, answer.text
    messages = provider.requests[0]["messages"]
    calls = [
        (call["function"]["name"], json.loads(call["function"]["arguments"])) for call in messages[2]["tool_calls"]
    ]
    assert calls == [(name, json.loads(arguments)) for name, arguments in CALLS]
    assert [message["content"] for message in messages[3:]] == ["found", "noted", "no such file"]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_custom_tools_of_the_chat_door_come_back_as_custom_calls(
    is_streamed: bool, gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    provider.script = [recorded("anthropic/thinking-and-tools.sse" if is_streamed else "anthropic/answer.json")]
    tool: Any = {"type": "custom", "custom": {"name": "weather", "description": "Weather."}}
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        if is_streamed:
            chunks = list(
                client.chat.completions.create(model="anthropic/m", messages=QUESTION, tools=[tool], stream=True)
            )
            calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
            assert {call.type for call in calls if call.id} == {"custom"}
            assert all(call.function is None for call in calls)
        else:
            client.chat.completions.create(model="anthropic/m", messages=QUESTION, tools=[tool])
    schema = provider.requests[0]["tools"][0]["input_schema"]
    assert (schema["required"], schema["properties"]["input"]["type"]) == (["input"], "string")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_custom_tools_work_at_other_servers_of_the_same_dialect(
    is_streamed: bool, gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    provider.script = [calling(("note", '{"input": "buy milk"}'), is_streamed=is_streamed)]
    tools = [
        {"type": "custom", "custom": {"name": "note", "description": "Note."}},
        {"type": "function", "function": {"name": "weather", "parameters": CITY}},
    ]
    allowed = {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": "note"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    body = {"model": "openai/m", "messages": QUESTION, "tools": tools, "tool_choice": choice, "stream": is_streamed}
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body)
    assert [tool["function"]["name"] for tool in provider.requests[0]["tools"]] == ["note"]
    assert provider.requests[0]["tool_choice"] == "auto"
    assert '"type":"custom"' in answer.text
    assert '"input":"buy milk"' in answer.text


def test_calls_that_come_without_an_id_never_get_the_same_one_twice(
    gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    async def call_without_id(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        part = {"functionCall": {"name": "weather", "args": {"city": "Paris"}}}
        return web.json_response({"candidates": [{"content": {"parts": [part, part]}, "finishReason": "STOP"}]})

    provider.usually = call_without_id
    ids = set()
    for _ in range(3):
        answer = httpx.post(f"{gateway.url}/v1/responses", json={"model": "gemini/m", "input": QUESTION, **CODEX})
        ids |= {item["call_id"] for item in answer.json()["output"] if item["type"] == "function_call"}
    assert len(ids) == 6


@pytest.mark.parametrize("field", [{"client_metadata": {"a": "b"}}, {"brand_new": 1}])
def test_an_operator_who_is_strict_keeps_unknown_fields_with_their_dialect(
    field: dict[str, Any], provider: ScriptedProvider, tmp_path: Path
) -> None:
    server = {"id": "one", "base_url": provider.base_url, "models": [{"upstream_model": "m"}]}
    with GatewayThread(tmp_path, servers=[server], strict_fields=True) as gateway:
        answer = httpx.post(f"{gateway.url}/v1/responses", json={"model": "one/m", "input": "hi", **field})
    if "brand_new" in field:
        assert answer.status_code >= 400
        assert "responses_dialect (because of brand_new)" in answer.text
    else:
        assert answer.headers["x-llmdeal-dropped"] == "client_metadata"
