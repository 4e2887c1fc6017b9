"""The smallest proxy in Python: plain ASGI, no framework, a fast client.

It does not check, route, count or log anything.

Run as `python -m bench.bare_proxy --client aiohttp --upstream http://127.0.0.1:N/v1 --port N`.
"""

import argparse
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import uvicorn

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_WANTS_STREAM = re.compile(rb'"stream"\s*:\s*true')


class Client(Protocol):
    """Interface of the proxy's HTTP client."""

    async def whole(self, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the provider's answer."""
        ...

    def stream(self, body: bytes) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        """Return the status and the pieces of the provider's answer as they arrive."""
        ...


@asynccontextmanager
async def aiohttp_client(url: str) -> AsyncIterator[Client]:
    """Return a client that uses aiohttp."""
    import aiohttp

    headers = {"content-type": "application/json"}

    class AiohttpClient:
        async def whole(self, body: bytes) -> tuple[int, bytes]:
            async with session.post(url, data=body, headers=headers) as answer:
                return answer.status, await answer.read()

        @asynccontextmanager
        async def stream(self, body: bytes) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
            async with session.post(url, data=body, headers=headers) as answer:
                yield answer.status, aiter(answer.content.iter_any())

    async with aiohttp.ClientSession() as session:
        yield AiohttpClient()


@asynccontextmanager
async def pyreqwest_client(url: str) -> AsyncIterator[Client]:
    """Return a client that uses pyreqwest, a binding of Rust's reqwest."""
    from pyreqwest.client import ClientBuilder

    class PyreqwestClient:
        async def whole(self, body: bytes) -> tuple[int, bytes]:
            answer = await client.post(url).header("content-type", "application/json").body_bytes(body).build().send()
            return answer.status, bytes(await answer.bytes())

        @asynccontextmanager
        async def stream(self, body: bytes) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
            request = client.post(url).header("content-type", "application/json").body_bytes(body).build_streamed()
            async with request as answer:
                yield answer.status, self._pieces(answer.body_reader)

        async def _pieces(self, reader: Any) -> AsyncIterator[bytes]:
            while (piece := await reader.read_chunk()) is not None:
                yield bytes(piece)

    async with ClientBuilder().build() as client:
        yield PyreqwestClient()


CLIENTS = {"aiohttp": aiohttp_client, "pyreqwest": pyreqwest_client}


class BareProxy:
    """The application in front of one endpoint."""

    def __init__(self, connect: AbstractAsyncContextManager[Client]) -> None:
        self._connect = connect
        self._client: Client

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Forward one chat completion, or open and close the client."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = await _read_body(receive)
        if not _WANTS_STREAM.search(body):
            status, content = await self._client.whole(body)
            await send(_start(status, b"application/json"))
            await send({"type": "http.response.body", "body": content})
            return
        async with self._client.stream(body) as (status, pieces):
            await send(_start(status, b"text/event-stream"))
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._connect as self._client:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def _read_body(receive: Receive) -> bytes:
    body, is_complete = b"", False
    while not is_complete:
        message = await receive()
        body += message.get("body", b"")
        is_complete = not message.get("more_body", False)
    return body


def _start(status: int, content_type: bytes) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type)]}


def main() -> None:
    """Run the proxy from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client", choices=CLIENTS, required=True)
    given = parser.parse_args()
    app = BareProxy(CLIENTS[given.client](f"{given.upstream}/chat/completions"))
    uvicorn.run(app, port=given.port, loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
