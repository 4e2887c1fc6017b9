"""The bodies of errors in the dialect of each door.

OpenAI: `{"error": {"message", "type", "param", "code"}}`. Anthropic: `{"type": "error", "error": …}`.
"""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from serve.errors import AttemptSummary, MethodNotAllowedError, RateLimitedError, RequestError, UpstreamError
from serve.http.asgi import RawHeaders
from serve.redaction import redact


class ErrorBody(Struct):
    """What is wrong and what to do; `attempts` if lanes were tried, `details` for SDKs that read them."""

    message: str
    type: str
    param: str | None
    code: str
    attempts: tuple[AttemptSummary, ...] | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET


class ErrorAnswer(Struct):
    """An error, in OpenAI's envelope."""

    error: ErrorBody


class MessagesErrorAnswer(Struct):
    """An error, in Anthropic's envelope."""

    type: Literal["error"]
    error: ErrorBody


def error_envelope(error: RequestError) -> ErrorAnswer:
    """Return the body for an error in OpenAI's dialect."""
    return ErrorAnswer(_error_body(error, error.type))


_LONGEST_WAIT_S = 60
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    410: "invalid_request_error",
    413: "request_too_large",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
}
"""platform.claude.com/docs, "Errors", and the types of the package anthropic 2.12.0, read 2026-11-23."""


def messages_error_envelope(error: RequestError) -> MessagesErrorAnswer:
    """Return the body for an error in Anthropic's dialect. `code` and `param` are ours, in addition to its fields."""
    return MessagesErrorAnswer("error", _error_body(error, _ANTHROPIC_TYPES.get(error.status, "api_error")))


def _error_body(error: RequestError, type_: str) -> ErrorBody:
    """Return the error itself; a key that the caller sent in the wrong place is not repeated."""
    attempts = error.attempts if isinstance(error, UpstreamError) else UNSET
    details = UNSET if error.details is None else dict(error.details)
    return ErrorBody(redact(error.message), type_, error.param, error.code, attempts, details)


def error_headers(error: RequestError) -> RawHeaders:
    """Return the headers of an error.

    `Retry-After` is on every 429 and 503, and on other errors if waiting helps. `Allow` is on a 405. A wait of over a
    minute carries `x-should-retry: false`: the SDKs of OpenAI and Anthropic then tell their caller at once, instead of
    sleeping for as long as the header says.
    """
    if isinstance(error, MethodNotAllowedError):
        return [(b"allow", error.allowed.encode())]
    retry_after_s = error.retry_after_s
    if retry_after_s is None and error.status in (429, 503):
        retry_after_s = 1
    headers: RawHeaders = list(error.headers) if isinstance(error, RateLimitedError) else []
    if retry_after_s is None:
        return headers
    if retry_after_s > _LONGEST_WAIT_S:
        headers = [(b"x-should-retry", b"false"), *headers]
    return [(b"retry-after", str(retry_after_s).encode()), *headers]
