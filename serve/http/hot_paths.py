"""The gateway's application: FastAPI, with the hot endpoints in front of it, outside its middleware.

The layers of FastAPI cost more time than a hot endpoint may take. So the errors of the hot endpoints are put into their
envelope here.
"""

import logging
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote

from fastapi import FastAPI

from serve.errors import DatabaseAwayError, MethodNotAllowedError, RequestError
from serve.http.asgi import ClientDisconnected, Event, RawHeaders, Receive, Scope, Send, send_json
from serve.http.doors import Door
from serve.http.error_envelope import error_headers
from serve.http.known_paths import one_spelling
from serve.http.request_ids import RequestIds, request_id_headers
from serve.metrics import Metrics
from serve.storage.database import DATABASE_AWAY

_log = logging.getLogger("llmdeal.http")


class HotEndpoint(Protocol):
    """A plain ASGI endpoint with the door that it belongs to."""

    @property
    def door(self) -> Door:
        """Door whose error envelope the endpoint uses."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        ...


class GatewayApp(FastAPI):
    """FastAPI with hot endpoints, which `mount_hot` adds. Without them it is plain FastAPI."""

    hot_paths: "HotPaths | None" = None
    _request_ids = RequestIds()

    def mount_hot(self, endpoints: Mapping[str, HotEndpoint], metrics: Metrics) -> None:
        """Serve `endpoints` (path -> endpoint, all of them POST). Their errors are counted in `metrics`."""
        self.hot_paths = HotPaths(endpoints, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch one request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        hot_paths = self.hot_paths
        if hot_paths is not None and scope["path"] not in hot_paths.endpoints:
            scope = _in_one_spelling(scope)
        if hot_paths is None or scope["path"] not in hot_paths.endpoints:
            await super().__call__(*_cold(scope, receive, send, self._request_ids))
        elif scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": [(b"allow", b"POST, OPTIONS")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await hot_paths(scope, receive, send)


def _in_one_spelling(scope: Scope) -> Scope:
    path = one_spelling(scope["path"])
    return scope if path == scope["path"] else {**scope, "path": path, "raw_path": quote(path).encode()}


def _cold(scope: Scope, receive: Receive, send: Send, request_ids: RequestIds) -> tuple[Scope, Receive, Send]:
    """Return a request for FastAPI: HEAD is answered as GET without a body, and every answer has an id."""
    is_head = scope["method"] == "HEAD"
    headers = request_id_headers(request_ids.take())

    async def with_id(event: Event) -> None:
        if event["type"] == "http.response.start":
            sent = list(event.get("headers", ()))
            if not any(name == headers[0][0] for name, _ in sent):  # an answer of the playground has its own
                sent += headers
            event["headers"] = sent
        elif is_head and event["type"] == "http.response.body":
            event = {**event, "body": b""}
        await send(event)

    return ({**scope, "method": "GET"} if is_head else scope), receive, with_id


class HotPaths:
    """Plain ASGI application of the hot endpoints.

    Args:
        endpoints: Path -> endpoint.
        metrics: Metrics that count the errors.
    """

    def __init__(self, endpoints: Mapping[str, HotEndpoint], metrics: Metrics) -> None:
        self.endpoints = endpoints
        self._metrics = metrics
        self._request_ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request for one of the endpoints."""
        endpoint = self.endpoints[scope["path"]]
        is_begun = False

        async def watched_send(event: Event) -> None:
            nonlocal is_begun
            is_begun = True
            await send(event)

        try:
            if scope["method"] != "POST":
                raise MethodNotAllowedError(f"{scope['path']} takes POST, not {scope['method']}", "POST")
            await endpoint(scope, receive, watched_send)
        except ClientDisconnected:
            return
        except RequestError as error:
            self._metrics.note_error(error.code)
            headers = [*error_headers(error), *self._id_headers(error)]
            await send_json(send, error.status, endpoint.door.error_envelope(error), headers)
        except DATABASE_AWAY as error:
            _log.error("the database is away: %s on %s", type(error).__name__, scope["path"])
            away = DatabaseAwayError("the database does not answer")
            self._metrics.note_error(away.code)
            if is_begun:
                raise
            headers = [*error_headers(away), *self._id_headers(away)]
            await send_json(send, away.status, endpoint.door.error_envelope(away), headers)
        except Exception as error:
            # The process edge: a defect of ours is logged once, and the answer says that it is our fault.
            _log.exception("internal error on %s", scope["path"])
            self._metrics.note_error("internal_error")
            if is_begun:
                raise
            ours = RequestError(f"internal error ({type(error).__name__}); it was logged")
            await send_json(send, 500, endpoint.door.error_envelope(ours), self._id_headers(ours))

    def _id_headers(self, error: RequestError) -> RawHeaders:
        """Return the headers with the id of the request that ended with an error; it may have got none yet."""
        return request_id_headers(error.request_id or self._request_ids.take())
