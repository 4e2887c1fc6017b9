"""The head of a response leaves with the first bytes of its body, and is never kept back for good."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket
from typing import cast

import pytest
import uvicorn

from serve.http.asgi import Receive, Scope, Send
from serve.process.held_head import HeadHoldingProtocol, HeadHoldingTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Written:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_closed = False

    def is_closing(self) -> bool:
        return self.is_closed

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.is_closed = True

    def get_extra_info(self, name: str) -> str:
        return name


def holding() -> tuple[HeadHoldingTransport, Written]:
    written = Written()
    return HeadHoldingTransport(cast("asyncio.Transport", written)), written


def test_a_head_is_written_together_with_what_follows() -> None:
    transport, written = holding()
    transport.write(HEAD)
    assert written.writes == []
    transport.write(b"bo")
    transport.write(b"dy")
    assert written.writes == [HEAD + b"bo", b"dy"]


def test_what_only_informs_is_written_at_once() -> None:
    transport, written = holding()
    transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert written.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_a_head_that_is_held_goes_out_before_the_connection_closes() -> None:
    transport, written = holding()
    transport.write(HEAD)
    transport.close()
    assert written.writes == [HEAD]
    assert transport.is_closing()
    assert transport.get_extra_info("peername") == "peername"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    status = 204 if scope["path"] == "/nothing" else 200
    headers = [] if status == 204 else [(b"content-length", b"4")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if status == 204 else b"body"})


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    config = uvicorn.Config(
        app, http=HeadHoldingProtocol, lifespan="off", log_config=None, server_header=False, date_header=False
    )
    server = uvicorn.Server(config)
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        running = asyncio.create_task(server.serve([listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await running


@pytest.mark.slow
def test_answers_with_and_without_a_body_come_whole_and_in_order() -> None:
    async def ask() -> bytes:
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            lines = [
                b"HEAD / HTTP/1.1",
                b"GET /nothing HTTP/1.1",
                b"GET / HTTP/1.1",
                b"HEAD / HTTP/1.1\r\nconnection: close",
            ]
            writer.write(b"".join(line + b"\r\nhost: x\r\n\r\n" for line in lines))
            answers = await asyncio.wait_for(reader.read(-1), 5)
            writer.close()
            return answers

    closed = HEAD[:-2] + b"connection: close\r\n\r\n"
    assert asyncio.run(ask()) == HEAD + b"HTTP/1.1 204 No Content\r\n\r\n" + HEAD + b"body" + closed
