"""Errors as each door's dialect has them: OpenAI's `{"error": {"message", "type", "param", "code"}}`, Anthropic's `{"type": "error", "error": …}`."""

from typing import Any

from serve.errors import MethodNotAllowedError, RateLimitedError, RequestError, UpstreamError
from serve.http.asgi import RawHeaders
from serve.redaction import redact


def error_envelope(error: RequestError) -> dict[str, Any]:
    """Return the body for an error; a key that a caller sent where none belongs is not repeated."""
    envelope: dict[str, Any] = {
        "message": redact(error.message),
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if isinstance(error, UpstreamError):
        envelope["attempts"] = [
            {"lane": attempt.lane, "status": attempt.status, "outcome": attempt.outcome} for attempt in error.attempts
        ]
    return {"error": envelope}


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    410: "invalid_request_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
}
"""platform.claude.com/docs, "Errors", and the types of the package anthropic 2.12.0, read 2026-11-23."""


def messages_error_envelope(error: RequestError) -> dict[str, Any]:
    """Return the body for an error in Anthropic's dialect; our code and the field at fault stand beside its own two fields."""
    told = error_envelope(error)["error"]
    told["type"] = _ANTHROPIC_TYPES.get(error.status, "api_error")
    return {"type": "error", "error": told}


def error_headers(error: RequestError) -> RawHeaders:
    """Return the headers that belong to an error: `Retry-After` on every 429 and 503 and wherever waiting helps, `Allow` on a 405."""
    if isinstance(error, MethodNotAllowedError):
        return [(b"allow", error.allowed.encode())]
    retry_after_s = error.retry_after_s
    if retry_after_s is None and error.status in (429, 503):
        retry_after_s = 1
    told = list(error.headers) if isinstance(error, RateLimitedError) else []
    return told if retry_after_s is None else [(b"retry-after", str(retry_after_s).encode()), *told]
