"""The errors of the ordinary FastAPI endpoints, in the envelope of the hot ones. They never have status 422."""

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from serve.errors import (
    BadRequestError,
    DatabaseAwayError,
    MethodNotAllowedError,
    NotFoundError,
    RequestError,
    VaultError,
    VaultUnavailableError,
    failed_check,
)
from serve.http.error_envelope import error_envelope, error_headers
from serve.http.known_paths import nothing_at
from serve.http.struct_response import StructResponse
from serve.metrics import Metrics
from serve.storage.database import DATABASE_AWAY

_log = logging.getLogger("llmdeal.http")


def install_exception_handlers(app: FastAPI, metrics: Metrics) -> None:
    """Make `app` answer every error in OpenAI's envelope."""

    def respond(error: RequestError) -> StructResponse:
        metrics.note_error(error.code)
        headers = {name.decode(): value.decode() for name, value in error_headers(error)}
        return StructResponse(error_envelope(error), error.status, headers)

    @app.exception_handler(RequestError)
    async def on_request_error(request: Request, error: RequestError) -> StructResponse:
        return respond(error)

    @app.exception_handler(VaultError)
    async def on_vault_error(request: Request, error: VaultError) -> StructResponse:
        return respond(VaultUnavailableError(str(error)))

    async def on_database_away(request: Request, error: Exception) -> StructResponse:
        _log.error("the database is away: %s on %s", type(error).__name__, request.url.path)
        return respond(DatabaseAwayError("the database does not answer"))

    for kind in DATABASE_AWAY:
        app.add_exception_handler(kind, on_database_away)

    @app.exception_handler(RequestValidationError)
    async def on_validation_error(request: Request, error: RequestValidationError) -> StructResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return respond(BadRequestError(f"the body is not valid JSON: {first['ctx']['error']}", code="invalid_json"))
        param = ".".join(str(part) for part in first["loc"][1:]) or None
        return respond(BadRequestError(f"{failed_check(first['msg'])} (in {param or 'the body'})", param=param))

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return respond(NotFoundError(nothing_at(request.url.path)))
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "GET")
            if request.method == "OPTIONS":
                return Response(status_code=204, headers={"allow": f"{allowed}, OPTIONS"})
            return respond(MethodNotAllowedError(f"{request.url.path} does not take {request.method}", allowed))
        wrapped = BadRequestError(str(error.detail))
        wrapped.status = error.status_code
        return respond(wrapped)
