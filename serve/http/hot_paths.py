"""Sends the hot endpoints' requests straight to them, around FastAPI, and turns every error into the dialect's envelope."""

import logging
from collections.abc import Mapping

from serve.errors import MethodNotAllowedError, RequestError
from serve.http.asgi import AsgiApp, ClientDisconnected, Event, Receive, Scope, Send, send_json
from serve.http.error_envelope import error_envelope, error_headers
from serve.metrics import Metrics

_log = logging.getLogger("llmdeal.http")


class HotPaths:
    """Pure ASGI middleware.

    Args:
        app: Everything else.
        endpoints: Path -> endpoint, all of them POST.
        metrics: Counts errors.
    """

    def __init__(self, app: AsgiApp, endpoints: Mapping[str, AsgiApp], metrics: Metrics) -> None:
        self._app = app
        self._endpoints = endpoints
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch one request."""
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        is_begun = False

        async def watched_send(event: Event) -> None:
            nonlocal is_begun
            is_begun = True
            await send(event)

        try:
            if scope["method"] != "POST":
                raise MethodNotAllowedError(f"{scope['path']} takes POST, not {scope['method']}")
            await endpoint(scope, receive, watched_send)
        except ClientDisconnected:
            return
        except RequestError as error:
            self._metrics.note_error(error.code)
            await send_json(send, error.status, error_envelope(error), error_headers(error))
        except Exception as error:
            # The process edge: a defect of ours is logged once and the caller learns that it was not their fault.
            _log.exception("internal error on %s", scope["path"])
            self._metrics.note_error("internal_error")
            if is_begun:
                raise
            await send_json(send, 500, error_envelope(RequestError(f"internal error ({type(error).__name__}); it was logged")))
