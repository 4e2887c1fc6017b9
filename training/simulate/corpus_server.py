"""A local server with OpenAI's chat dialect; it answers with the lengths of the corpus' answers."""

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from training.simulate.world import World


class CorpusServer:
    """Runs the server while the `with` block runs.

    Args:
        world: World with the prompts and the models that answer them.
    """

    def __init__(self, world: World) -> None:
        self._row_of = {world.corpus.prompts[row]: row for row in world.contexts}
        self._world = world
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                status, body = answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def base_url(self) -> str:
        """Address of the server, up to and including /v1."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def _answer(self, asked: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        row = self._row_of.get(asked["messages"][-1]["content"])
        if row is None or asked["model"] not in self._world.names:
            return 400, {"error": {"message": "not in this corpus", "type": "invalid_request_error", "code": "unknown"}}
        lane = self._world.names.index(asked["model"])
        prompt_tokens = self._world.contexts[row].prompt_tokens
        tokens = round(float(self._world.tokens[row, lane]))
        message = {
            "role": "assistant",
            "content": f"The answer of {asked['model']} to {self._world.corpus.prompt_ids[row]}.",
        }
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": prompt_tokens + tokens}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return 200, {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": choices,
            "usage": usage,
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
