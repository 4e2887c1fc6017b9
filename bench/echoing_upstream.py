"""Providers that repeat the key they received: in error bodies, headers, stream events and redirects."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

Answer = Callable[[BaseHTTPRequestHandler, str], None]


def _error(status: int, text: str = "you sent {key}") -> Answer:
    def answer(handler: BaseHTTPRequestHandler, key: str) -> None:
        message = text.format(key=key)
        error = {"message": message, "type": message, "code": message, "param": message}
        _send(handler, status, json.dumps({"error": error}))

    return answer


def _page(status: int) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, key: str) -> None:
        _send(handler, status, f"<html>Bearer {key}</html>", {"content-type": "text/html"})

    return answer


def _redirect(handler: BaseHTTPRequestHandler, key: str) -> None:
    _send(handler, 302, "", {"location": f"http://127.0.0.1:9/?key={key}"})


def _garbage(handler: BaseHTTPRequestHandler, key: str) -> None:
    _send(handler, 200, f'{{"choices": [{{"{key}":')


def _no_answer(handler: BaseHTTPRequestHandler, key: str) -> None:
    _send(handler, 200, json.dumps({"error": {"message": f"you sent {key}", "code": key}}))


def _odd_answer(handler: BaseHTTPRequestHandler, key: str) -> None:
    message = {"role": "assistant", "content": "391"}
    choice = {"index": 0, "message": message, "finish_reason": f"because of {key}"}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    _send(
        handler,
        200,
        json.dumps({"id": "1", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage}),
    )


def _stream(*events: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, key: str) -> None:
        raw = "".join(f"data: {event}\n\n" for event in events).replace("KEY", key)
        _send(handler, 200, raw, {"content-type": "text/event-stream"})

    return answer


_WORD: Final = (
    '{"id": "1", "object": "chat.completion.chunk", "created": 1, "choices": [{"index": 0, "delta": {"content": "a"}}]}'
)
_EVENT: Final = '{"error": {"message": "you sent KEY", "type": "KEY", "code": "KEY"}}'
ANSWERS: Final[dict[str, Answer]] = {
    "bad-request": _error(400),
    "unauthorised": _error(401, "Incorrect API key provided: {key}"),
    "unpaid": _error(402),
    "forbidden": _error(403),
    "unknown": _error(404),
    "limited": _error(429),
    "failing": _error(500),
    "page": _page(502),
    "redirect": _redirect,
    "garbage": _garbage,
    "no-answer": _no_answer,
    "odd-answer": _odd_answer,
    "begins-with-error": _stream(_EVENT),
    "breaks-with-error": _stream(_WORD, _EVENT),
    "breaks-off": _stream(_WORD, '{"KEY'),
}
"""Name of a provider -> its answer."""


class EchoingUpstream:
    """Runs in its own threads while the `with` block runs; each provider is at `/<name>/v1`."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.keys: set[str] = set()
        _Handler.keys = self.keys

    def base_url(self, name: str) -> str:
        """Return the address of a provider."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    keys: set[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.keys.add(key)
        ANSWERS[self.path.split("/")[1]](self, key)

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


def _send(handler: BaseHTTPRequestHandler, status: int, text: str, headers: dict[str, str] | None = None) -> None:
    raw = text.encode()
    key = handler.headers.get("authorization", "").removeprefix("Bearer ")
    handler.send_response(status, f"because of {key}")
    all_headers = {
        "content-type": "application/json",
        "x-request-id": key,
        "x-ratelimit-limit-requests": key,
        **(headers or {}),
    }
    for name, value in {**all_headers, "content-length": str(len(raw)), "connection": "close"}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(raw)
