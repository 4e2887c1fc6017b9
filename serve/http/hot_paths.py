"""The gateway's application: FastAPI, with the hot endpoints in front of it, outside its middleware.

The layers of FastAPI cost more time than a hot endpoint may take. So the errors of the hot endpoints are put into their
envelope here.
"""

import logging
from collections.abc import Mapping
from typing import Protocol

from fastapi import FastAPI

from serve.errors import DatabaseAwayError, MethodNotAllowedError, RequestError
from serve.http.asgi import ClientDisconnected, Event, Receive, Scope, Send, send_json
from serve.http.doors import Door
from serve.http.error_envelope import error_headers
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

    def mount_hot(self, endpoints: Mapping[str, HotEndpoint], metrics: Metrics) -> None:
        """Serve `endpoints` (path -> endpoint, all of them POST). Their errors are counted in `metrics`."""
        self.hot_paths = HotPaths(endpoints, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch one request."""
        if self.hot_paths is not None and scope["type"] == "http" and scope["path"] in self.hot_paths.endpoints:
            await self.hot_paths(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class HotPaths:
    """Plain ASGI application of the hot endpoints.

    Args:
        endpoints: Path -> endpoint.
        metrics: Metrics that count the errors.
    """

    def __init__(self, endpoints: Mapping[str, HotEndpoint], metrics: Metrics) -> None:
        self.endpoints = endpoints
        self._metrics = metrics

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
            await send_json(send, error.status, endpoint.door.error_envelope(error), error_headers(error))
        except DATABASE_AWAY as error:
            _log.error("the database is away: %s on %s", type(error).__name__, scope["path"])
            away = DatabaseAwayError("the database does not answer")
            self._metrics.note_error(away.code)
            if is_begun:
                raise
            await send_json(send, away.status, endpoint.door.error_envelope(away), error_headers(away))
        except Exception as error:
            # The process edge: a defect of ours is logged once, and the answer says that it is our fault.
            _log.exception("internal error on %s", scope["path"])
            self._metrics.note_error("internal_error")
            if is_begun:
                raise
            ours = RequestError(f"internal error ({type(error).__name__}); it was logged")
            await send_json(send, 500, endpoint.door.error_envelope(ours))
