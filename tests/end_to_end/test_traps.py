"""The traps of other gateways, tried through the public doors. docs/traps.md lists these tests and others."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
from aiohttp import web
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import RECORDED, Behaviour, ScriptedProvider, recorded, refuse, stream_events
from starlette.middleware.base import BaseHTTPMiddleware

from serve.dialects.bedrock.event_stream import encode_message

pytestmark = pytest.mark.slow

QUESTION: Any = [{"role": "user", "content": "What is the weather in Paris and in Zürich?"}]
TOOL: Any = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
CLAUDE, GEMINI, GPT, BEDROCK = "claude/x", "gemini/x", "gpt/x", "bedrock/x"
RECORDINGS = {
    CLAUDE: "anthropic/thinking-and-tools.sse",
    GEMINI: "gemini/thinking-and-tools.sse",
    GPT: "openai/parallel-tools.sse",
    BEDROCK: "bedrock/thinking-and-tools.eventstream",
}
VENDOR_MODELS = {CLAUDE: "anthropic/x", GEMINI: "google/x", GPT: "openai/x", BEDROCK: "anthropic/y"}
DIALECTS = {CLAUDE: "anthropic", GEMINI: "gemini", GPT: "openai", BEDROCK: "bedrock"}
DOORS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": QUESTION},
    "/v1/messages": {"messages": QUESTION, "max_tokens": 99},
    "/v1/responses": {"input": QUESTION},
}
CANARY = "4f1d9c0ab7e2c0ffee5ec2e7d00dfeed"  # of no provider's form: nothing but knowing it can tell that it is a key


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


def server(lane: str, vendor_model: str, dialect: str, base_url: str) -> dict[str, Any]:
    name, _, upstream_model = lane.partition("/")
    model = {"upstream_model": upstream_model, "vendor_model": vendor_model, "capabilities": ["tools", "reasoning"]}
    prices = {"input_usd_per_mtok": "2", "output_usd_per_mtok": "8"}
    return {"id": name, "base_url": base_url, "dialect": dialect, "key": CANARY, "models": [{**model, **prices}]}


@pytest.fixture
def gateway(provider: ScriptedProvider, tmp_path: Path) -> Iterator[GatewayThread]:
    servers = [server(lane, VENDOR_MODELS[lane], DIALECTS[lane], provider.base_url) for lane in RECORDINGS]
    with GatewayThread(tmp_path, servers=servers, read_timeout_s=5.0) as running:
        yield running


@pytest.mark.parametrize("lane", RECORDINGS)
@pytest.mark.parametrize("door", DOORS)
def test_tokens_are_billed_once_wherever_a_dialect_counts_cached_ones_and_thoughts(
    door: str, lane: str, gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    provider.script = [recorded(RECORDINGS[lane].partition(".")[0] + ".json"), recorded(RECORDINGS[lane], pieces=19)]
    for is_streaming in (False, True):
        httpx.post(
            f"{gateway.url}{door}", json={"model": lane, "stream": is_streaming, **DOORS[door]}
        ).raise_for_status()
    rows = gateway.attempts()
    thoughts = None if lane == BEDROCK else 20  # Converse counts them in and does not say how many
    assert [(row.prompt_tokens, row.cached_tokens, row.completion_tokens) for row in rows] == [(525, 400, 89)] * 2
    assert {row.reasoning_tokens for row in rows} == {thoughts}
    assert [row.cost_nusd for row in rows] == [525 * 2_000 + 89 * 8_000] * 2


@pytest.mark.parametrize("lane", [GPT, CLAUDE])
@pytest.mark.parametrize("door", DOORS)
def test_a_caller_who_leaves_a_stream_still_leaves_its_cost(
    door: str, lane: str, gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    async def say_a_word_and_wait(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if lane == GPT:
            return await provider.hang(request, body)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        raw = (RECORDED / "anthropic" / "stream.sse").read_bytes()
        await response.write(raw[: raw.index(b"event: content_block_stop")])
        await provider._wait_until_left(request)
        return response

    provider.script = [say_a_word_and_wait]
    with httpx.stream("POST", f"{gateway.url}{door}", json={"model": lane, "stream": True, **DOORS[door]}) as response:
        next(response.iter_bytes())
    assert provider.hang_ended.wait(5)
    [row] = gateway.attempts()
    assert (row.outcome, row.usage_is_estimated) == ("client_disconnected", True)
    assert row.completion_tokens
    assert row.cost_nusd


@pytest.mark.parametrize("body", [*RECORDINGS.values(), "openai/tools-at-the-end.sse"])
def test_a_messages_stream_keeps_tool_arguments_ends_with_tool_use_and_has_no_empty_text(
    body: str, gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    lane = next((lane for lane, name in RECORDINGS.items() if name == body), GPT)
    provider.script = [recorded(body, pieces=23)]
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0) as client,
        client.messages.stream(model=lane, max_tokens=99, messages=QUESTION, tools=[TOOL]) as stream,
    ):
        message = stream.get_final_message()
    calls = [block.input for block in message.content if block.type == "tool_use"]
    assert calls == [{"city": "Paris", "days": 2}, {"city": "Zürich"}]
    assert message.stop_reason == "tool_use"
    assert all(block.text for block in message.content if block.type == "text")


def test_a_short_last_message_is_routed_by_the_whole_conversation(tmp_path: Path) -> None:
    hard = "Find the number of ordered pairs (a, b) of complex numbers such that a^3 b^5 = a^7 b^2 = 1."
    last = {"role": "user", "content": "Say hi."}
    conversation = [{"role": "user", "content": hard}, {"role": "assistant", "content": "a^4 = b^3, so"}, last]
    with GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0) as gateway:
        alone, within = (
            httpx.post(f"{gateway.url}/v1/route", json={"model": "smart-route", "messages": messages}).json()
            for messages in ([last], conversation)
        )
    assert alone["chosen"] != within["chosen"]
    assert within["difficulty"] > alone["difficulty"]


@pytest.mark.parametrize(("status", "rested"), [(429, {"box/a", "box/b"}), (503, {"box/a"}), (529, {"box/a"})])
def test_a_limit_rests_the_whole_account_and_a_full_provider_one_lane(
    status: int, rested: set[str], provider: ScriptedProvider, tmp_path: Path
) -> None:
    def models(*prices: str) -> list[dict[str, Any]]:
        return [
            {"upstream_model": name, "input_usd_per_mtok": price} for name, price in zip("ab", prices, strict=False)
        ]

    servers = [
        {"id": "box", "base_url": provider.base_url, "models": models("1", "2")},
        {"id": "other", "base_url": provider.base_url, "models": models("3")},
    ]
    provider.script = [refuse(status)]
    with GatewayThread(tmp_path, servers=servers, policy="cheapest") as gateway:
        body = {"model": "smart-route", "messages": QUESTION, "route": {"explain": True}}
        first = httpx.post(f"{gateway.url}/v1/chat/completions", json=body)
        assert first.headers["x-llmdeal-lane"] == "other/a" if status == 429 else "box/b"
        then = httpx.post(f"{gateway.url}/v1/route", json=body).json()
    assert {lane["lane"] for lane in then["candidates"] if lane["excluded_by"] == "cooldown"} == rested


def test_a_stream_under_way_is_finished_before_its_client_is_closed(provider: ScriptedProvider, tmp_path: Path) -> None:
    may_go_on = threading.Event()

    async def half_then_wait(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        events = stream_events(body["model"])
        await response.write(b"".join(events[:2]))
        await asyncio.to_thread(may_go_on.wait, 20)
        await response.write(b"".join(events[2:]))
        return response

    provider.script = [half_then_wait]
    servers = [server(GPT, "openai/x", "openai", provider.base_url)]
    with GatewayThread(tmp_path, servers=servers) as gateway:
        body = {"model": GPT, "messages": QUESTION, "stream": True}
        with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=body, timeout=20) as response:
            chunks = response.iter_bytes()
            first = next(chunks)
            gateway.stop_listening()
            may_go_on.set()
            assert (first + b"".join(chunks)).endswith(b"data: [DONE]\n\n")


def failing_stream(lane: str) -> bytes:
    """A stream that begins well and then says the key in an error of its dialect."""
    error = {"message": f"bad key {CANARY}"}
    if lane == BEDROCK:
        begun = encode_message({":message-type": "event", ":event-type": "messageStart"}, b'{"role": "assistant"}')
        delta = encode_message(
            {":message-type": "event", ":event-type": "contentBlockDelta"},
            b'{"contentBlockIndex": 0, "delta": {"text": "Par"}}',
        )
        failure = {":message-type": "exception", ":exception-type": "throttlingException"}
        return begun + delta + encode_message(failure, json.dumps(error).encode())
    if lane == CLAUDE:
        begun = (RECORDED / "anthropic" / "stream.sse").read_bytes().partition(b"event: content_block_stop")[0]
        return begun + f"event: error\ndata: {json.dumps({'type': 'error', 'error': error})}\n\n".encode()
    gemini = (RECORDED / "gemini" / "stream.sse").read_bytes().partition(b"\n\n")[0] + b"\n\n"
    return (gemini if lane == GEMINI else stream_events("x")[0]) + f"data: {json.dumps({'error': error})}\n\n".encode()


def answer_with(raw: bytes) -> Behaviour:
    async def behaviour(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(
            body=raw, headers={"content-type": "text/event-stream", "x-request-id": "up-1", "x-echo": CANARY}
        )

    return behaviour


WAYS: dict[str, Callable[[str], Behaviour]] = {
    **{
        f"status {status}": lambda lane, status=status: refuse(status, f"your key {CANARY} (Bearer {CANARY}) is wrong")
        for status in (400, 401, 403, 404, 413, 422, 429, 500, 503)
    },
    "an error in the stream": lambda lane: answer_with(failing_stream(lane)),
    "no answer at all": lambda lane: answer_with(f"<html>{CANARY}</html>".encode()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lane", RECORDINGS)
def test_a_provider_key_takes_no_way_out_whatever_the_provider_says(
    way: str, lane: str, provider: ScriptedProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.usually = WAYS[way](lane)
    requests = [(door, is_streaming) for door in DOORS for is_streaming in (False, True)]
    lanes = [lane.replace("/", f"-{number}/") for number in range(len(requests))]  # one that failed would rest
    servers = [server(each, VENDOR_MODELS[lane], DIALECTS[lane], provider.base_url) for each in lanes]
    with GatewayThread(tmp_path, servers=servers) as gateway:
        for each, (door, is_streaming) in zip(lanes, requests, strict=True):
            answer = httpx.post(f"{gateway.url}{door}", json={"model": each, "stream": is_streaming, **DOORS[door]})
            assert CANARY not in answer.text
            assert CANARY not in str(answer.headers)
        for page in ("/v1/models", "/metrics", "/readyz", "/openapi.json"):
            assert CANARY not in httpx.get(f"{gateway.url}{page}").text
        assert CANARY not in str(gateway.attempts())
    assert [CANARY in str(headers) for headers in provider.headers] == [True] * len(requests)  # each lane was sent it
    assert CANARY not in caplog.text


def test_no_middleware_of_starlettes_slow_kind_is_in_the_way(gateway: GatewayThread) -> None:
    layer: Any = gateway.app.build_middleware_stack()
    kinds = []
    while layer is not None:
        kinds.append(type(layer))
        layer = getattr(layer, "app", None)
    assert len(kinds) > 2
    assert not [kind for kind in kinds if issubclass(kind, BaseHTTPMiddleware)]
