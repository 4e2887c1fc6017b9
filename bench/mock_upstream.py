"""A provider that answers at once: a fixed chat completion, or a stream of 50 chunks.

It is a bare protocol, so that it is never the limit. Run `python -m bench.mock_upstream --port N`.
"""

import argparse
import asyncio
import json
import re
from typing import cast

import uvloop

STREAM_CHUNKS = 50
"""Events of a streamed answer: a role, the words, a finish reason and the usage; `[DONE]` is not counted."""

_ANSWER_WORDS = 47
_CREATED = 1_750_000_000
_USAGE = {"prompt_tokens": 312, "completion_tokens": _ANSWER_WORDS, "total_tokens": 312 + _ANSWER_WORDS}
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_WANTS_STREAM = re.compile(rb'"stream"\s*:\s*true')
_WORD = " figure"


def whole_answer() -> bytes:
    """Return the whole response, head included, without streaming."""
    message = {"role": "assistant", "content": _WORD * _ANSWER_WORDS, "refusal": None}
    body: dict[str, object] = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": _CREATED,
        "model": "mock",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _USAGE,
    }
    raw = json.dumps(body).encode()
    return _head(b"200 OK", b"application/json", b"content-length: %d" % len(raw)) + raw


def streamed_answer() -> list[bytes]:
    """Return the pieces of a streamed response, to be written one by one: the head, the events, and the end."""
    deltas = [{"role": "assistant", "content": ""}] + [{"content": _WORD}] * _ANSWER_WORDS
    choices: list[list[dict[str, object]]] = [
        [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}] for delta in deltas
    ]
    choices.append([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}])
    bodies = [{**_chunk_head(), "choices": choice, "usage": None} for choice in choices]
    bodies.append({**_chunk_head(), "choices": [], "usage": _USAGE})
    events = [b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies] + [b"data: [DONE]\n\n"]
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    return [_head(b"200 OK", b"text/event-stream", b"transfer-encoding: chunked"), *chunks, b"0\r\n\r\n"]


def _chunk_head() -> dict[str, object]:
    return {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": _CREATED, "model": "mock"}


def _head(status: bytes, content_type: bytes, length: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: %b\r\n%b\r\n\r\n" % (status, content_type, length)


_WHOLE = whole_answer()
_STREAM = streamed_answer()
_NOT_FOUND = _head(b"404 Not Found", b"application/json", b"content-length: 2") + b"{}"


class MockUpstream(asyncio.Protocol):
    """One connection: HTTP/1.1 with keep-alive, requests with a content-length, no pipelining."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are not asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer as soon as the request is complete."""
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = _CONTENT_LENGTH.search(self._received, 0, head_end)
        if len(self._received) < head_end + 4 + (int(length[1]) if length else 0):
            return
        request, self._received = self._received, b""
        path = request[: request.find(b"\r\n")].split(b" ")[1]
        if not path.endswith(b"/chat/completions"):
            self._transport.write(_NOT_FOUND)
        elif _WANTS_STREAM.search(request, head_end):
            self._write_piece(0)
        else:
            self._transport.write(_WHOLE)

    def _write_piece(self, place: int) -> None:
        """Write one piece; the next one follows a turn of the loop later, so that each is its own packet."""
        if self._transport.is_closing():
            return
        self._transport.write(_STREAM[place])
        if place + 1 < len(_STREAM):
            self._loop.call_soon(self._write_piece, place + 1)


async def serve(port: int) -> None:
    """Serve until cancelled."""
    server = await asyncio.get_running_loop().create_server(MockUpstream, "127.0.0.1", port, backlog=1_024)
    await server.serve_forever()


def main() -> None:
    """Run the mock from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
