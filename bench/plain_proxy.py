"""What one writes first: a FastAPI route that forwards with httpx. It neither checks, routes, counts nor logs anything.

Run as `python -m bench.plain_proxy --upstream http://127.0.0.1:N/v1 --port N`.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse


def create_app(upstream: str) -> FastAPI:
    """Return the proxy in front of `upstream`, a base URL up to and including /v1."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(base_url=upstream, timeout=60) as client:
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


async def _relay(stream: httpx.Response) -> AsyncIterator[bytes]:
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
    given = parser.parse_args()
    app = create_app(given.upstream)
    uvicorn.run(app, port=given.port, loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
