"""Situations that other gateways, agents and SDKs got wrong in public: `tests/fixtures/situations`, one file each.

A file says what a provider answers, what the caller asks, and what is right. Its first server gives that answer; with
`has_fallback` the caller also allows a second server, which always says hello.
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
import yaml
from aiohttp import web
from checkout import FIXTURES
from fakes.gateway_thread import GatewayThread

pytestmark = pytest.mark.slow

FOLDER = FIXTURES / "situations"
SITUATIONS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
CAPABILITIES = ["tools", "images", "json_schema", "json_object", "reasoning", "documents"]
HELLO = {
    "openai": {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    },
    "anthropic": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 5},
    },
    "responses": {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "m",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "hello"}]}],
        "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
    },
}


class Providers:
    """A real HTTP server: below `/NAME` the provider of that situation, below `/fallback` one that says hello."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application()
        application.router.add_route("*", "/{name}/{rest:.*}", self._answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._ended.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked.append((name, await request.json()))
        situation = SITUATIONS.get(name, {"dialect": "openai", "answer": {}})
        answer = situation["answer"]
        if "stream" in answer:
            return await self._stream(request, answer["stream"])
        body = answer.get("body", HELLO.get(situation["dialect"]))
        return web.json_response(body, status=answer.get("status", 200), headers=answer.get("headers"))

    @staticmethod
    async def _stream(request: web.Request, pieces: list[Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            elif isinstance(piece, str):
                await response.write(f"{piece}\n\n".encode())
            else:
                head = f"event: {piece['event']}\n" if "event" in piece else ""
                await response.write(f"{head}data: {json.dumps(piece['data'])}\n\n".encode())
        return response

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)


def server(name: str, dialect: str, port: int) -> dict[str, Any]:
    served = {
        "upstream_model": "m",
        "vendor_model": f"situation/{name}",
        "input_usd_per_mtok": "1",
        "output_usd_per_mtok": "10",
        "capabilities": CAPABILITIES,
        "context_tokens": 200_000,
        "max_output_tokens": 32_000,
    }
    further = {"dialect": "openai", "also_speaks": ["responses"]} if dialect == "responses" else {"dialect": dialect}
    return {"id": name, "base_url": f"http://127.0.0.1:{port}/{name}", "models": [served], **further}


@pytest.fixture(scope="module")
def providers() -> Iterator[Providers]:
    with Providers() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(providers: Providers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    servers = [server(name, case["dialect"], providers.port) for name, case in SITUATIONS.items()]
    servers.append(server("fallback", "openai", providers.port))
    with GatewayThread(tmp_path_factory.mktemp("situations"), servers=servers) as running:
        yield running


def at_pointer(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def events(text: str) -> list[Any]:
    data = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in data if line != "[DONE]"]


def call_arguments(text: str) -> str:
    calls = [
        call
        for chunk in events(text)
        for choice in chunk.get("choices", ())
        for call in choice["delta"].get("tool_calls", ())
    ]
    return "".join(call["function"].get("arguments", "") for call in calls)


def rests(gateway: GatewayThread, name: str) -> list[float]:
    metrics = httpx.get(f"{gateway.url}/metrics").text
    pattern = rf'llmdeal_lane_rest_seconds\{{lane="{name}/[^"]*"\}} (\S+)'
    return [float(seconds) for seconds in re.findall(pattern, metrics) if float(seconds) > 0]


def shown_cost(text: str) -> float:
    return float(re.findall(r'"cost":\s*([0-9.e-]+)', text)[-1])


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_that_others_got_wrong_is_right_here(
    name: str, gateway: GatewayThread, providers: Providers
) -> None:
    situation = SITUATIONS[name]
    right = situation["right"]
    body = {"model": f"situation/{name}", **situation["request"]}
    if situation["has_fallback"]:
        body["models"] = ["situation/fallback"]
    providers.asked.clear()
    answer = httpx.post(f"{gateway.url}{situation['path']}", json=body, timeout=30)
    assert answer.status_code == right.get("status", answer.status_code), answer.text
    assert len(providers.asked) == right.get("asked", len(providers.asked)), answer.text
    for header, text in right.get("headers", {}).items():
        assert answer.headers[header] == text
    for pointer, value in right.get("answer", {}).items():
        assert at_pointer(answer.json(), pointer) == value, answer.text
    for pointer, value in right.get("sent", {}).items():
        assert at_pointer(providers.asked[0][1], pointer) == value
    assert all(text in answer.text for text in right.get("contains", ())), answer.text
    assert not any(text in answer.text for text in right.get("lacks", ())), answer.text
    assert all(answer.text.count(text) == 1 for text in right.get("once", ())), answer.text
    if "cost_usd" in right:
        assert shown_cost(answer.text) == pytest.approx(right["cost_usd"])
    if "call_arguments" in right:
        assert call_arguments(answer.text) == right["call_arguments"]
    if "most_resting" in right:
        assert len(rests(gateway, name)) <= right["most_resting"]
    if "rests_at_least_s" in right:
        assert max(rests(gateway, name)) >= right["rests_at_least_s"]


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_says_where_it_was_reported(name: str) -> None:
    situation = SITUATIONS[name]
    assert situation["what"]
    assert all(re.search(r"#\d+$|,", source) for source in situation["sources"])
    assert situation["right"]


def test_the_folder_of_situations_is_read() -> None:
    assert len(SITUATIONS) >= 20
    assert Path(FOLDER, "no-credit-said-with-400.yaml").is_file()
