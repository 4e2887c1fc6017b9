"""Anthropic's door through its own SDK, and Anthropic's lanes behind OpenAI's door, over real HTTP."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from aiohttp import web
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import RECORDED, ScriptedProvider, break_off, recorded, refuse

from serve.identity.virtual_keys import issue_virtual_key

pytestmark = pytest.mark.slow

VIRTUAL_KEY = issue_virtual_key("test")
QUESTION: Any = [{"role": "user", "content": "What is the weather in Paris and in Zürich?"}]
PARAMETERS: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {"name": "weather", "description": "Weather.", "input_schema": PARAMETERS}
CHAT_TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "description": "Weather.", "parameters": PARAMETERS},
}
CLAUDE, GPT = "claude/claude-x", "gpt/gpt-x"


def server(provider_id: str, base_url: str, upstream_model: str, vendor_model: str, dialect: str) -> dict[str, Any]:
    model = {
        "upstream_model": upstream_model,
        "vendor_model": vendor_model,
        "input_usd_per_mtok": "3",
        "output_usd_per_mtok": "15",
        "capabilities": ["tools", "images", "reasoning"],
    }
    return {
        "id": provider_id,
        "base_url": base_url,
        "dialect": dialect,
        "key": f"secret-of-{provider_id}",
        "models": [model],
    }


@pytest.fixture
def claude() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def gpt() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def gateway(claude: ScriptedProvider, gpt: ScriptedProvider, tmp_path: Path) -> Iterator[GatewayThread]:
    servers = [
        server("claude", claude.base_url, "claude-x", "anthropic/claude-x", "anthropic"),
        server("gpt", gpt.base_url, "gpt-x", "openai/gpt-x", "openai"),
    ]
    with GatewayThread(tmp_path, keys=VIRTUAL_KEY, servers=servers, read_timeout_s=2.0) as running:
        yield running


@pytest.fixture
def client(gateway: GatewayThread) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=VIRTUAL_KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def chat(gateway: GatewayThread) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=VIRTUAL_KEY, max_retries=0) as client:
        yield client


def test_a_message_goes_through_as_it_came_but_for_our_fields(
    client: anthropic.Anthropic, claude: ScriptedProvider, gateway: GatewayThread
) -> None:
    claude.script = [recorded("anthropic/answer.json")]
    raw = client.messages.with_raw_response.create(
        model=CLAUDE,
        max_tokens=50,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=QUESTION,
        metadata={"user_id": "u1"},
        extra_body={"route": {"explain": True}, "session_id": "s"},
        extra_headers={"anthropic-beta": "something-2026-01-01"},
    )
    message = raw.parse()
    assert [block.text for block in message.content if block.type == "text"] == ["Paris."]
    assert raw.headers["x-llmdeal-lane"] == CLAUDE
    assert raw.headers["x-llmdeal-cost-usd"] == f"{(11 * 3 + 5 * 15) / 1e6:.9f}"
    assert message.usage.model_dump()["cost"] == (11 * 3 + 5 * 15) / 1e6
    assert message.model_dump()["llmdeal"]["chosen"] == CLAUDE
    assert claude.paths == ["/v1/messages"]
    assert claude.requests == [
        {
            "model": "claude-x",
            "max_tokens": 50,
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "messages": QUESTION,
            "metadata": {"user_id": "u1"},
        }
    ]
    sent = claude.headers[0]
    assert sent["x-api-key"] == "secret-of-claude"
    assert sent["anthropic-version"] == client.default_headers["anthropic-version"]
    assert sent["anthropic-beta"] == "something-2026-01-01"
    assert "authorization" not in {name.lower() for name in sent}
    [row] = gateway.attempts()
    assert (row.endpoint, row.outcome, row.finish_reason) == ("/v1/messages", "ok", "end_turn")


@pytest.mark.parametrize(
    ("lane", "body"), [(CLAUDE, "anthropic/thinking-and-tools.sse"), (GPT, "openai/parallel-tools.sse")]
)
def test_a_streamed_message_keeps_the_arguments_of_parallel_calls(
    client: anthropic.Anthropic,
    claude: ScriptedProvider,
    gpt: ScriptedProvider,
    gateway: GatewayThread,
    lane: str,
    body: str,
) -> None:
    claude.script = gpt.script = [recorded(body, pieces=37)]
    with client.messages.stream(model=lane, max_tokens=500, messages=QUESTION, tools=[TOOL]) as stream:
        message = stream.get_final_message()
    assert [block.input for block in message.content if block.type == "tool_use"] == [
        {"city": "Paris", "days": 2},
        {"city": "Zürich"},
    ]
    assert [block.text for block in message.content if block.type == "text"] == ["I look both up."]
    assert message.stop_reason == "tool_use"
    assert (message.usage.output_tokens, message.usage.cache_read_input_tokens) == (89, 400)
    [row] = gateway.attempts()
    assert (row.prompt_tokens, row.cached_tokens, row.cache_write_tokens, row.reasoning_tokens) == (525, 400, 100, 20)


def test_streamed_and_whole_cost_the_same_at_both_doors(
    client: anthropic.Anthropic, chat: openai.OpenAI, claude: ScriptedProvider, gateway: GatewayThread
) -> None:
    claude.script = [recorded(f"anthropic/thinking-and-tools.{kind}") for kind in ("json", "sse", "json", "sse")]
    client.messages.create(model=CLAUDE, max_tokens=500, messages=QUESTION, tools=[TOOL])
    for _ in client.messages.create(model=CLAUDE, max_tokens=500, messages=QUESTION, tools=[TOOL], stream=True):
        pass
    chat.chat.completions.create(model=CLAUDE, messages=QUESTION, tools=[CHAT_TOOL])
    for _ in chat.chat.completions.create(model=CLAUDE, messages=QUESTION, tools=[CHAT_TOOL], stream=True):
        pass
    rows = gateway.attempts()
    assert len(rows) == 4
    assert len({row.cost_nusd for row in rows}) == 1


def test_thoughts_of_claude_survive_openais_door_and_keep_the_conversation_with_claude(
    chat: openai.OpenAI, claude: ScriptedProvider, gpt: ScriptedProvider
) -> None:
    claude.script = [recorded("anthropic/thinking-and-tools.json"), recorded("anthropic/answer.json")]
    first = chat.chat.completions.create(model=CLAUDE, messages=QUESTION, tools=[CHAT_TOOL], reasoning_effort="low")
    turn = first.choices[0].message.model_dump(exclude_none=True)
    assert turn["reasoning_content"] == "A capital. France."
    results: Any = [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in turn["tool_calls"]]
    raw = chat.chat.completions.with_raw_response.create(
        model="smart-route",
        messages=[*QUESTION, turn, *results],
        tools=[CHAT_TOOL],
        extra_body={"route": {"explain": True}},
    )
    assert raw.headers["x-llmdeal-lane"] == CLAUDE
    excluded = {lane["lane"]: lane["excluded_by"] for lane in raw.parse().model_dump()["llmdeal"]["candidates"]}
    assert excluded == {CLAUDE: None, GPT: "capability"}
    assert gpt.requests == []
    assert claude.requests[1]["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "A capital. France.", "signature": "c2lnbmF0dXJl"},
        {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"},
        {"type": "text", "text": "I look both up."},
        {"type": "tool_use", "id": "toolu_01A", "name": "weather", "input": {"city": "Paris", "days": 2}},
        {"type": "tool_use", "id": "toolu_01B", "name": "weather", "input": {"city": "Zürich"}},
    ]


def test_a_streamed_thought_can_be_sent_back_in_the_pieces_it_came_in(
    chat: openai.OpenAI, claude: ScriptedProvider
) -> None:
    claude.script = [recorded("anthropic/thinking-and-tools.sse"), recorded("anthropic/answer.json")]
    details: list[Any] = []
    for chunk in chat.chat.completions.create(model=CLAUDE, messages=QUESTION, tools=[CHAT_TOOL], stream=True):
        for choice in chunk.choices:
            details += choice.delta.model_dump().get("reasoning_details") or []
    turn: Any = {"role": "assistant", "content": "I look both up.", "reasoning_details": details}
    chat.chat.completions.create(model=CLAUDE, messages=[*QUESTION, turn, {"role": "user", "content": "go on"}])
    assert claude.requests[1]["messages"][1]["content"][:2] == [
        {"type": "thinking", "thinking": "A capital. France.", "signature": "c2lnbmF0dXJl"},
        {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"},
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"mcp_servers": [{"type": "url", "name": "m", "url": "https://mcp.example.com"}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f1"}}]}]},
    ],
    ids=["a tool that the provider runs", "a field of its own", "an uploaded file"],
)
def test_what_only_anthropic_has_stays_there(
    gateway: GatewayThread, claude: ScriptedProvider, fields: dict[str, Any]
) -> None:
    claude.script = [recorded("anthropic/answer.json")] * 2
    body = {"model": "smart-route", "max_tokens": 10, "messages": QUESTION, **fields}
    headers = {"x-api-key": VIRTUAL_KEY}
    answer = httpx.post(f"{gateway.url}/v1/messages", json=body, headers=headers)
    assert (answer.status_code, answer.headers["x-llmdeal-lane"]) == (200, CLAUDE)
    refused = httpx.post(f"{gateway.url}/v1/messages", json={**body, "model": GPT}, headers=headers)
    assert refused.status_code == 400
    assert "retry-after" not in refused.headers
    assert refused.json()["type"] == "error"
    message = refused.json()["error"]["message"]
    assert "capability" in message
    assert GPT.replace(":", "/") in message or GPT in message
    assert CLAUDE not in message


@pytest.mark.parametrize("status", [401, 429, 529])
def test_a_refusal_by_the_provider_sends_the_message_to_the_next_lane(
    client: anthropic.Anthropic, claude: ScriptedProvider, gpt: ScriptedProvider, gateway: GatewayThread, status: int
) -> None:
    claude.script = [recorded(f"anthropic/error-{status}.json", status)]
    gpt.script = [recorded("openai/parallel-tools.json")]
    message = client.messages.create(
        model=CLAUDE, max_tokens=10, messages=QUESTION, tools=[TOOL], extra_body={"models": [GPT]}
    )
    assert message.stop_reason == "tool_use"
    assert [row.lane_id for row in gateway.attempts()] == [CLAUDE, GPT]


def test_errors_come_in_the_doors_own_envelope(
    client: anthropic.Anthropic, claude: ScriptedProvider, gateway: GatewayThread
) -> None:
    claude.script = [recorded("anthropic/error-400.json", 400)]
    with pytest.raises(anthropic.BadRequestError, match="at least one message") as refused:
        client.messages.create(model=CLAUDE, max_tokens=10, messages=QUESTION)
    assert refused.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="nobody/nothing", max_tokens=10, messages=QUESTION)
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.messages.create(model=CLAUDE, max_tokens=0, messages=QUESTION)
    stranger = anthropic.Anthropic(base_url=gateway.url, api_key="ll_live_wrong", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(model=CLAUDE, max_tokens=10, messages=QUESTION)


@pytest.mark.parametrize("lane", [CLAUDE, GPT])
def test_a_message_that_breaks_off_ends_in_an_error_event(
    client: anthropic.Anthropic, claude: ScriptedProvider, gpt: ScriptedProvider, gateway: GatewayThread, lane: str
) -> None:
    claude.script = [recorded("anthropic/broken.sse")]
    gpt.script = [break_off]
    with pytest.raises(anthropic.APIStatusError, match="broke before its end"):
        for _ in client.messages.create(model=lane, max_tokens=10, messages=QUESTION, stream=True):
            pass
    [row] = gateway.attempts()
    assert row.outcome == "broken_stream"
    assert row.usage_is_estimated
    assert row.cost_nusd


@pytest.mark.parametrize("door", ["/v1/messages", "/v1/chat/completions"])
def test_an_error_inside_a_stream_ends_it_even_when_the_provider_stays_on_the_line(
    gateway: GatewayThread, claude: ScriptedProvider, door: str
) -> None:
    async def fail_and_stay(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        raw = (RECORDED / "anthropic" / "overloaded.sse").read_bytes()
        cut = raw.index(b"event: error")
        await response.write(raw[:cut])
        await asyncio.sleep(0.05)
        await response.write(raw[cut:])
        await asyncio.sleep(30)
        return response

    claude.script = [fail_and_stay]
    body = {"model": CLAUDE, "max_tokens": 10, "messages": QUESTION, "stream": True}
    answer = httpx.post(f"{gateway.url}{door}", json=body, headers={"x-api-key": VIRTUAL_KEY}, timeout=20)
    assert "error" in answer.text
    # A wait for more would have ended by the time-out, and the log would say so.
    assert [(row.outcome, row.error_code) for row in gateway.attempts()] == [("broken_stream", None)]


def test_a_stream_that_begins_with_an_error_goes_to_the_next_lane(
    chat: openai.OpenAI, claude: ScriptedProvider, gpt: ScriptedProvider, gateway: GatewayThread
) -> None:
    claude.script = [refuse(529)]
    gpt.script = [recorded("openai/parallel-tools.sse")]
    chunks = list(
        chat.chat.completions.create(
            model=CLAUDE, messages=QUESTION, tools=[CHAT_TOOL], stream=True, extra_body={"models": [GPT]}
        )
    )
    assert chunks[-1].usage is not None
    assert [row.outcome for row in gateway.attempts()] == ["upstream_error", "ok"]


def test_tokens_are_counted_by_the_lane_or_estimated_and_said_so(
    client: anthropic.Anthropic, claude: ScriptedProvider, gateway: GatewayThread
) -> None:
    async def count(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"input_tokens": 4711})

    claude.script = [count, refuse(500)]
    exact = client.messages.with_raw_response.count_tokens(model=CLAUDE, messages=QUESTION, system="Be brief.")
    assert (exact.parse().input_tokens, exact.headers["x-llmdeal-token-count"]) == (4711, "exact")
    assert claude.paths == ["/v1/messages/count_tokens"]
    assert claude.requests == [{"model": "claude-x", "messages": QUESTION, "system": "Be brief."}]
    for lane in (CLAUDE, GPT):
        estimated = client.messages.with_raw_response.count_tokens(model=lane, messages=QUESTION)
        assert estimated.headers["x-llmdeal-token-count"] == "estimated"
        assert 10 < estimated.parse().input_tokens < 40
    assert gateway.attempts() == []


@pytest.mark.parametrize(("parameter", "lane"), [("seed", GPT), ("top_k", CLAUDE)])
def test_a_parameter_that_is_required_goes_where_it_can_be_sent(
    gateway: GatewayThread, claude: ScriptedProvider, gpt: ScriptedProvider, parameter: str, lane: str
) -> None:
    claude.script, gpt.script = [recorded("anthropic/answer.json")] * 3, [recorded("openai/parallel-tools.json")] * 3

    def ask(**fields: Any) -> httpx.Response:
        body = {"messages": QUESTION, parameter: 7, **fields}
        return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers={"x-api-key": VIRTUAL_KEY})

    required = {"provider": {"require_parameters": True}}
    assert ask(model="smart-route", **required).headers["x-llmdeal-lane"] == lane
    other = GPT if lane == CLAUDE else CLAUDE
    refused = ask(model=other, **required)
    assert refused.status_code == 400
    assert "retry-after" not in refused.headers
    assert "parameters" in refused.json()["error"]["message"]
    assert ask(model=other).status_code == 200


def test_both_sdks_list_what_can_be_asked_for(client: anthropic.Anthropic, chat: openai.OpenAI) -> None:
    names = ["smart-route", "anthropic/claude-x", "openai/gpt-x"]
    assert [entry.id for entry in client.models.list()] == names
    assert [entry.id for entry in chat.models.list()] == names


def test_what_only_translation_finds_is_refused_by_field_and_nothing_is_sent(
    gateway: GatewayThread, claude: ScriptedProvider
) -> None:
    image = {"type": "image_url", "image_url": {"url": "ftp://example.com/a.png"}}
    body = {"model": CLAUDE, "messages": [{"role": "user", "content": [image]}]}
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers={"x-api-key": VIRTUAL_KEY})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "messages[0].content[0].image_url.url"
    assert claude.requests == []
