"""Errors as OpenAI's envelope: `{"error": {"message", "type", "param", "code"}}`, one table for every door of that dialect."""

from typing import Any

from serve.errors import RequestError, UpstreamError
from serve.http.asgi import RawHeaders


def error_envelope(error: RequestError) -> dict[str, Any]:
    """Return the body for an error."""
    envelope: dict[str, Any] = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    if isinstance(error, UpstreamError):
        envelope["attempts"] = [
            {"lane": attempt.lane, "status": attempt.status, "outcome": attempt.outcome} for attempt in error.attempts
        ]
    return {"error": envelope}


def error_headers(error: RequestError) -> RawHeaders:
    """Return the headers that belong to an error: `Retry-After` on every 429 and 503, and wherever waiting helps."""
    retry_after_s = error.retry_after_s
    if retry_after_s is None and error.status in (429, 503):
        retry_after_s = 1
    return [] if retry_after_s is None else [(b"retry-after", str(retry_after_s).encode())]
