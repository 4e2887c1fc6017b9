"""A real HTTP server that takes webhooks, checks their signatures with OpenAI's SDK, and can refuse some of them."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import openai

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
_ANY_AGE_S = 10**10


@dataclass
class WebhookReceiver:
    """`statuses` are what it answers to the next ones; then 204."""

    statuses: list[int] = field(default_factory=list)
    max_age_s: int = _ANY_AGE_S
    received: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hooks?token=hush"

    def take(self, request: BaseHTTPRequestHandler) -> int:
        raw = request.rfile.read(int(request.headers["content-length"]))
        verifier = openai.OpenAI(api_key="none").webhooks
        verifier.verify_signature(raw, dict(request.headers.items()), secret=SECRET, tolerance=self.max_age_s)
        self.received.append(json.loads(raw))
        self.ids.append(request.headers["webhook-id"])
        self.paths.append(request.path)
        return self.statuses.pop(0) if self.statuses else 204

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                try:
                    status = receiver.take(self)
                except openai.InvalidWebhookSignatureError:
                    status = 401
                self.send_response(status)
                self.send_header("content-length", "0")
                if status == 302:
                    self.send_header("location", "/elsewhere")
                self.end_headers()
                receiver.arrived.release()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
