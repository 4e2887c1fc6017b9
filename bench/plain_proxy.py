"""The simplest proxy: a FastAPI route that forwards with httpx.

It does not check, route, count or log anything. Run
`python -m bench.plain_proxy --upstream http://127.0.0.1:N/v1 --port N`; `--client` names a successor of httpx that has
its interface.
"""

import argparse
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse

if TYPE_CHECKING:
    import httpx

CLIENTS = {
    "httpx": "httpx:AsyncClient",
    "httpx2": "httpx2:AsyncClient",
    "httpx-aiohttp": "httpx_aiohttp:HttpxAiohttpClient",
}


def create_app(upstream: str, client_class: "Callable[..., httpx.AsyncClient]") -> FastAPI:
    """Return the proxy in front of `upstream`, a base URL up to and including /v1."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with client_class(base_url=upstream, timeout=60) as client:
            app.state.client = client
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/v1/chat/completions", forward, methods=["POST"], response_model=None)
    return app


async def forward(request: Request) -> Response:
    """Forward one chat completion."""
    client: httpx.AsyncClient = request.app.state.client
    body = await request.json()
    upstream = client.build_request("POST", "/chat/completions", json=body)
    if not body.get("stream"):
        answer = await client.send(upstream)
        return Response(answer.content, answer.status_code, media_type="application/json")
    stream = await client.send(upstream, stream=True)
    return StreamingResponse(_relay(stream), stream.status_code, media_type="text/event-stream")


async def _relay(stream: "httpx.Response") -> AsyncIterator[bytes]:
    try:
        async for chunk in stream.aiter_bytes():
            yield chunk
    finally:
        await stream.aclose()


def main() -> None:
    """Run the proxy from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client", choices=CLIENTS, default="httpx")
    given = parser.parse_args()
    module, name = CLIENTS[given.client].split(":")
    app = create_app(given.upstream, getattr(import_module(module), name))
    uvicorn.run(app, port=given.port, loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
