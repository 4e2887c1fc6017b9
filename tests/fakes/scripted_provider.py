"""A real local HTTP server in OpenAI's chat dialect; by script it answers, refuses, stalls or breaks off."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from checkout import FIXTURES

RECORDED = FIXTURES / "upstream"
Behaviour = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
WORDS = ["The ", "answer ", "is ", "391."]


def completion(upstream_model: str, **others: object) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "".join(WORDS)}, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": upstream_model,
        "choices": [choice],
        "usage": USAGE,
        **others,
    }


def stream_events(upstream_model: str) -> list[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": upstream_model}
    chunks: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in WORDS
    ]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({**head, "choices": [], "usage": USAGE})
    return [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]


async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    if not body.get("stream"):
        return web.json_response(
            completion(body["model"]), headers={"x-request-id": "up-1", "x-ratelimit-remaining-requests": "41"}
        )
    response = web.StreamResponse(headers={"content-type": "text/event-stream", "x-request-id": "up-1"})
    await response.prepare(request)
    for event in stream_events(body["model"]):
        await response.write(event)
    return response


def refuse(status: int, message: str = "no", headers: dict[str, str] | None = None, code: str = "y") -> Behaviour:
    async def behaviour(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(
            {"error": {"message": message, "type": "x", "code": code}}, status=status, headers=headers
        )

    return behaviour


def answer_with(headers: dict[str, str] | None = None, **usage: object) -> Behaviour:
    """Answer whole, with these headers and this usage."""

    async def behaviour(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(completion(body["model"], usage={**USAGE, **usage}), headers=headers)

    return behaviour


def answer_after(event: threading.Event) -> Behaviour:
    """Answer once something has happened."""

    async def behaviour(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        assert await asyncio.to_thread(event.wait, 10)
        return await answer(request, body)

    return behaviour


def recorded(name: str, status: int = 200, pieces: int = 1) -> Behaviour:
    """Answer with a recorded body; a stream comes in so many pieces, cut anywhere."""
    raw = (RECORDED / name).read_bytes()

    async def behaviour(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if name.endswith(".json"):
            return web.Response(body=raw, status=status, content_type="application/json")
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        step = -(-len(raw) // pieces)
        for start in range(0, len(raw), step):
            await response.write(raw[start : start + step])
        return response

    return behaviour


async def break_off(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Stream half an answer, then cut the line."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for event in stream_events(body["model"])[:2]:
        await response.write(event)
    assert request.transport is not None
    request.transport.close()
    return response


@dataclass
class ScriptedProvider:
    """Runs in a thread of its own. `script` holds what to do with the next requests; when it is empty, `usually`."""

    script: list[Behaviour] = field(default_factory=list)
    usually: Behaviour = answer
    requests: list[dict[str, Any]] = field(default_factory=list)
    raw_bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    was_asked: threading.Event = field(default_factory=threading.Event)
    hang_ended: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def hang(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        """Stream one event, then nothing until the caller goes away; notes that it did."""
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(stream_events(body["model"])[0])
        await self._wait_until_left(request)
        return response

    async def stall(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        """Never answer; notes when the caller goes away."""
        await self._wait_until_left(request)
        return web.Response()

    async def _wait_until_left(self, request: web.Request) -> None:
        try:
            # aiohttp has no event to wait for.
            while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        finally:
            self.hang_ended.set()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.raw_bodies.append(await request.read())
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        self.was_asked.set()
        behaviour = self.script.pop(0) if self.script else self.usually
        return await behaviour(request, body)

    def __enter__(self) -> Self:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()

        async def start() -> None:
            app = web.Application(client_max_size=32_000_000)
            app.router.add_post("/v1/{path:.*}", self._handle)
            self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
            await self._runner.setup()
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
            self.port = self._runner.addresses[0][1]
            started.set()

        def run() -> None:
            self._loop.run_until_complete(start())
            self._loop.run_forever()
            self._loop.run_until_complete(self._runner.cleanup())
            self._loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
