"""The Responses door through OpenAI's SDK, in front of lanes of every dialect, with recorded bodies over real HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from aiohttp import web
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import RECORDED, ScriptedProvider, recorded

pytestmark = pytest.mark.slow

QUESTION = "What is the weather in Paris and in Zürich?"
PARAMETERS: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL: Any = {"type": "function", "name": "weather", "description": "Weather.", "parameters": PARAMETERS}
CLAUDE, GEMINI, GPT, LOCAL = "claude/claude-x", "gemini/gemini-x", "gpt/gpt-x", "local/gemma"
BEDROCK = "bedrock/global.claude-x:0"
INPUTS = ['{"city":"Paris","days":2}', '{"city":"Zürich"}']


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as opened:
        yield opened


@pytest.fixture
def gateway(provider: ScriptedProvider, tmp_path: Path) -> Iterator[GatewayThread]:
    def server(lane: str, vendor_model: str, dialect: str, **others: Any) -> dict[str, Any]:
        name, _, upstream_model = lane.partition("/")
        model = {
            "upstream_model": upstream_model,
            "vendor_model": vendor_model,
            "capabilities": ["tools", "images", "reasoning"],
        }
        prices = {"input_usd_per_mtok": "2", "output_usd_per_mtok": "8"}
        return {
            "id": name,
            "base_url": provider.base_url,
            "dialect": dialect,
            "models": [{**model, **prices}],
            **others,
        }

    servers = [
        server(CLAUDE, "anthropic/claude-x", "anthropic"),
        server(GEMINI, "google/gemini-x", "gemini"),
        server(GPT, "openai/gpt-x", "openai"),
        server(BEDROCK, "anthropic/claude-y", "bedrock"),
        server(LOCAL, "google/gemma", "openai", also_speaks=["responses"]),
    ]
    with GatewayThread(tmp_path, servers=servers, read_timeout_s=2.0) as running:
        yield running


@pytest.fixture
def client(gateway: GatewayThread) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def test_a_lane_that_speaks_responses_gets_the_request_as_it_came(
    client: openai.OpenAI, provider: ScriptedProvider, gateway: GatewayThread
) -> None:
    provider.script = [
        recorded("llama-cpp/responses-answer.json"),
        recorded("llama-cpp/responses-stream.sse", pieces=31),
    ]
    answer = client.responses.create(model=LOCAL, input="Capital of France?", extra_body={"route": {"explain": True}})
    assert answer.output_text == " Paris"
    assert answer.model_dump()["llmdeal"]["chosen"] == LOCAL
    events = list(client.responses.create(model=LOCAL, input="Capital of France?", stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == " Paris"
    assert events[-1].type == "response.completed"
    usage = events[-1].response.usage
    assert usage is not None
    assert usage.model_dump()["cost"] == (18 * 2 + 4 * 8) / 1e6
    assert provider.paths == ["/v1/responses", "/v1/responses"]
    assert provider.requests[0] == {"model": "gemma", "input": "Capital of France?", "store": False}
    assert [row.cost_nusd for row in gateway.attempts()] == [18 * 2_000 + 4 * 8_000] * 2


@pytest.mark.parametrize(
    ("lane", "body"),
    [
        (CLAUDE, "anthropic/thinking-and-tools"),
        (GEMINI, "gemini/thinking-and-tools"),
        (BEDROCK, "bedrock/thinking-and-tools"),
        (GPT, "openai/parallel-tools"),
    ],
)
def test_every_other_lane_answers_too_and_costs_the_same_streamed_or_not(
    client: openai.OpenAI, provider: ScriptedProvider, gateway: GatewayThread, lane: str, body: str
) -> None:
    stream_body = f"{body}.eventstream" if lane == BEDROCK else f"{body}.sse"
    provider.script = [recorded(f"{body}.json"), recorded(stream_body, pieces=29)]
    whole = client.responses.create(model=lane, input=QUESTION, tools=[TOOL], instructions="Be brief.")
    with client.responses.stream(model=lane, input=QUESTION, tools=[TOOL]) as stream:
        streamed = stream.get_final_response()
    for response in (whole, streamed):
        assert response.status == "completed"
        assert response.output_text == "I look both up."
        assert [item.arguments for item in response.output if item.type == "function_call"] == INPUTS
        assert response.usage is not None
        assert (response.usage.input_tokens, response.usage.output_tokens) == (525, 89)
    assert len({row.cost_nusd for row in gateway.attempts()}) == 1


@pytest.mark.parametrize(
    ("lane", "body"), [(CLAUDE, "anthropic/thinking-and-tools"), (GEMINI, "gemini/thinking-and-tools")]
)
@pytest.mark.parametrize("kind", ["json", "sse"])
def test_signed_thoughts_come_back_and_keep_the_conversation_with_their_vendor(
    client: openai.OpenAI, provider: ScriptedProvider, lane: str, body: str, kind: str
) -> None:
    answer = "anthropic/answer.json" if lane == CLAUDE else "gemini/answer.json"
    provider.script = [recorded(f"{body}.{kind}"), recorded(answer)]
    if kind == "json":
        first = client.responses.create(model=lane, input=QUESTION, tools=[TOOL])
    else:
        with client.responses.stream(model=lane, input=QUESTION, tools=[TOOL]) as stream:
            first = stream.get_final_response()
    conversation: list[Any] = [
        {"role": "user", "content": QUESTION},
        *(item.model_dump(exclude_none=True) for item in first.output),
    ]
    calls = [item for item in first.output if item.type == "function_call"]
    conversation += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
    raw = client.responses.with_raw_response.create(model="smart-route", input=conversation, tools=[TOOL])
    assert raw.headers["x-llmdeal-lane"] == lane
    if lane == CLAUDE:
        assert provider.requests[1]["messages"][1]["content"][:2] == [
            {"type": "thinking", "thinking": "A capital. France.", "signature": "c2lnbmF0dXJl"},
            {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"},
        ]
    else:
        signatures = [part.get("thoughtSignature") for part in provider.requests[1]["contents"][1]["parts"][-2:]]
        assert signatures == ["c2ln", None]


def test_an_answer_that_was_cut_is_incomplete(client: openai.OpenAI, provider: ScriptedProvider) -> None:
    async def cut(request: Any, body: dict[str, Any]) -> Any:

        content = [{"type": "text", "text": "Par"}]
        return web.json_response(
            {
                "id": "m",
                "model": "x",
                "content": content,
                "stop_reason": "max_tokens",
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }
        )

    provider.script = [cut]
    response = client.responses.create(model=CLAUDE, input=QUESTION, max_output_tokens=1)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("lane", [CLAUDE, LOCAL])
def test_a_response_that_breaks_off_says_that_it_failed(
    client: openai.OpenAI, provider: ScriptedProvider, gateway: GatewayThread, lane: str
) -> None:
    body = "anthropic/broken.sse" if lane == CLAUDE else "llama-cpp/responses-stream.sse"

    async def halved(request: Any, fields: dict[str, Any]) -> Any:

        raw = (RECORDED / body).read_bytes()
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(raw[: raw.index(b"response.output_text.done") - 7] if lane == LOCAL else raw)
        return response

    provider.script = [halved]
    events = list(client.responses.create(model=lane, input=QUESTION, stream=True))
    assert events[-1].type == "response.failed"
    assert "broke before its end" in str(events[-1].response.error)
    [row] = gateway.attempts()
    assert (row.outcome, row.usage_is_estimated) == ("broken_stream", True)


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"previous_response_id": "resp_1"}, 400, "previous_response_id"),
        ({"background": True}, 400, "background"),
        ({"input": []}, 400, "input"),
        ({"input": ""}, 400, "input"),
        ({"input": [{"type": "reasoning", "encrypted_content": "llmdeal.!"}]}, 400, "input"),
        ({"model": GPT, "tools": [{"type": "web_search"}]}, 400, None),
        ({"model": GPT, "input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, 400, None),
        ({"model": GPT, "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}}, 400, None),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    gateway: GatewayThread, fields: dict[str, Any], status: int, param: str | None
) -> None:
    body = {"model": "smart-route", "input": QUESTION, **fields}
    answer = httpx.post(f"{gateway.url}/v1/responses", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_thoughts_that_openai_encrypted_stay_with_lanes_that_can_read_them(gateway: GatewayThread) -> None:
    items = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {"role": "user", "content": "go on"},
    ]
    answer = httpx.post(f"{gateway.url}/v1/responses", json={"model": "smart-route", "input": items})
    assert answer.status_code == 400
    assert "retry-after" not in answer.headers
    assert "openai_thoughts" in answer.json()["error"]["message"]


def test_bedrock_is_asked_by_path_and_bearer_and_its_refusals_are_understood(
    client: openai.OpenAI, provider: ScriptedProvider, gateway: GatewayThread
) -> None:
    provider.script = [
        recorded("bedrock/answer.json"),
        recorded("bedrock/stream.eventstream"),
        recorded("bedrock/broken.eventstream"),
        recorded("bedrock/error-429.json", 429),
        recorded("openai/parallel-tools.json"),
    ]
    assert client.responses.create(model=BEDROCK, input=QUESTION).output_text == "Paris."
    events = list(client.responses.create(model=BEDROCK, input=QUESTION, stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Paris."
    assert list(client.responses.create(model=BEDROCK, input=QUESTION, stream=True))[-1].type == "response.failed"
    client.responses.create(model=BEDROCK, input=QUESTION, extra_body={"models": [GPT]})
    base = "/v1/model/global.claude-x:0/converse"
    assert provider.paths[:3] == [base, f"{base}-stream", f"{base}-stream"]
    assert provider.requests[0] == {"messages": [{"role": "user", "content": [{"text": QUESTION}]}]}
    assert [row.outcome for row in gateway.attempts()] == ["ok", "ok", "broken_stream", "rate_limited", "ok"]


def test_a_conversation_with_encrypted_thoughts_stays_with_the_account_that_can_read_them(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    def account(name: str, price: str) -> dict[str, Any]:
        model = {"upstream_model": "gpt", "vendor_model": "openai/gpt", "input_usd_per_mtok": price}
        return {"id": name, "base_url": provider.base_url, "also_speaks": ["responses"], "models": [model]}

    provider.usually = recorded("llama-cpp/responses-answer.json")
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    opening, more = {"role": "user", "content": QUESTION}, {"role": "user", "content": "go on"}
    with GatewayThread(tmp_path, servers=[account("cheap", "1"), account("dear", "2")], policy="cheapest") as gateway:

        def ask(model: str, *items: dict[str, Any]) -> httpx.Response:
            body = {"model": model, "input": [opening, *items], "route": {"explain": True}}
            return httpx.post(f"{gateway.url}/v1/responses", json=body)

        assert ask("dear/gpt").headers["x-llmdeal-lane"] == "dear/gpt"
        assert ask("smart-route", more).headers["x-llmdeal-lane"] == "cheap/gpt"  # nothing to read
        assert ask("dear/gpt", more).headers["x-llmdeal-lane"] == "dear/gpt"
        stays = ask("smart-route", thought, more)
        assert stays.headers["x-llmdeal-lane"] == "dear/gpt"
        excluded = {each["lane"]: each["excluded_by"] for each in stays.json()["llmdeal"]["candidates"]}
        assert excluded == {"cheap/gpt": "thoughts", "dear/gpt": None}
        assert ask("cheap/gpt", thought, more).headers["x-llmdeal-lane"] == "cheap/gpt"  # a pin is never overridden
