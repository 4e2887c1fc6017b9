"""Asks the gateway's own endpoints in the viewer's name.

Such a request goes the same way as every other one, with admission, budgets and log.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from serve.dashboard.page import SECURITY_HEADERS
from serve.dashboard.viewer import Viewer
from serve.http.admission import HOLDER_KEY
from serve.http.asgi import Event
from serve.http.hot_paths import GatewayApp, HotPaths

TAG = "playground"


@dataclass(frozen=True, slots=True)
class InnerAnswer:
    """The answer of an endpoint: status, headers with lower-case names, and JSON body."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def error(self) -> str:
        """Message of the error; empty: there was none."""
        error = self.body.get("error") if self.status >= 400 else None
        return str(error.get("message", "")) if isinstance(error, Mapping) else ""


async def ask(request: Request, viewer: Viewer, path: str, body: Mapping[str, Any]) -> InnerAnswer:
    """Return the answer of the endpoint at `path` to `body`."""
    status, headers, parts = 500, {}, []

    async def send(event: Event) -> None:
        nonlocal status, headers
        if event["type"] == "http.response.start":
            status, headers = (
                event["status"],
                {name.decode(): value.decode("latin-1") for name, value in event["headers"]},
            )
        else:
            parts.append(event.get("body", b""))

    await hot_paths(request)(_scope(request, viewer, path), _receive(request.receive, body), send)
    return InnerAnswer(status, headers, json.loads(b"".join(parts) or b"{}"))


class InnerStream(Response):
    """A response that sends on the stream of an endpoint as it comes.

    Args:
        request: The browser's request.
        viewer: Person in whose name the endpoint is asked.
        path: Path of the endpoint.
        body: Request body that asks for a stream.
    """

    def __init__(self, request: Request, viewer: Viewer, path: str, body: Mapping[str, Any]) -> None:
        super().__init__()
        self._request, self._viewer, self._path, self._body = request, viewer, path, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_on(event: Event) -> None:
            if event["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
                kept = [pair for pair in event["headers"] if pair[0] != b"cache-control"]
                event = {**event, "headers": [*kept, *own]}
            await send(event)

        await hot_paths(self._request)(
            _scope(self._request, self._viewer, self._path), _receive(receive, self._body), send_on
        )


def hot_paths(request: Request) -> HotPaths:
    """Return the gateway's own endpoints."""
    app = request.app
    assert isinstance(app, GatewayApp)
    assert app.hot_paths is not None
    return app.hot_paths


def _scope(request: Request, viewer: Viewer, path: str) -> dict[str, Any]:
    headers = [(b"content-type", b"application/json"), (b"x-llmdeal-tags", TAG.encode())]
    return {**request.scope, "method": "POST", "path": path, "headers": headers, HOLDER_KEY: viewer.holder}


def _receive(receive: Receive, body: Mapping[str, Any]) -> Receive:
    """Return a channel that gives the body first, and then the browser's events: only that it went away."""
    is_given = False

    async def receive_body() -> Event:
        nonlocal is_given
        if not is_given:
            is_given = True
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}
        return await receive()

    return receive_body
