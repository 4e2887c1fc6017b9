"""Errors of the gateway, grouped by who must act; `serve.http.error_envelope` turns those of a request into HTTP.

ServeError
├── ConfigurationError       settings, catalogue or bundle are wrong (operator; at the start, not at a request)
│   ├── StorageError         the database cannot be opened or brought to this version
│   └── VaultError           a stored key cannot be sealed or opened
├── ExportError              a telemetry export cannot be written as asked (operator)
└── RequestError             a request ends with an error
    ├── CallerError          the request is wrong
    │   ├── BadRequestError  400
    │   ├── BadVirtualKeyError 401
    │   ├── BadSignInError   401
    │   ├── BudgetSpentError 402
    │   ├── ForbiddenError   403
    │   ├── UnknownModelError 404
    │   ├── NotFoundError    404
    │   ├── MethodNotAllowedError 405
    │   ├── ConflictError    409
    │   │   └── MovedOnError 409 another change came first
    │   ├── IdempotencyInProgressError 409
    │   ├── IdempotencyNotKeptError 410
    │   ├── TooLargeError    413
    │   ├── UnsupportedEncodingError 415
    │   ├── IdempotencyMismatchError 422
    │   └── RateLimitedError 429
    ├── VaultUnavailableError 503 no master key, or another one
    ├── DatabaseAwayError    503 the database does not answer
    ├── IdempotencyUnavailableError 503 the database of idempotency keys does not answer
    ├── NoLaneError          503 constraints left no lane
    │   ├── UnfitRequestError 400 what the request asks for leaves no lane
    │   └── RegionUnavailableError 400 no lane runs in the region that was asked for
    └── UpstreamError        502 every attempted lane failed, or the status of the one lane that answered
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

_DATABASE_AWAY_S = 2


class ServeError(Exception):
    """Base of all errors of this package; never raised itself."""


class ConfigurationError(ServeError):
    """What the operator configured cannot work. The message names the setting and says what to do."""


class StorageError(ConfigurationError):
    """The database cannot be reached, or its tables cannot be brought to the version of this program."""


class VaultError(ConfigurationError):
    """A stored key cannot be sealed or opened: no master key, another one, or a damaged record."""


class ExportError(ServeError):
    """A telemetry export cannot be written to the folder, or for the time span, that the operator asked for."""


class RequestError(ServeError):
    """A request ends with this error.

    Args:
        message: Text that says what is wrong and what to do; never holds a secret, a prompt or a header.
        code: Machine-readable name of the error; None: the one of the class.
        param: Request field at fault; None: no single one.
        retry_after_s: Whole seconds to wait before another try; None: waiting does not help.

    Attributes:
        status: HTTP status.
        type: Class of the error in OpenAI's envelope.
        request_id: Id of the request, as answers have it; None: the request got none yet.
        details: Further fields for SDKs that read them; None: there are none.
    """

    status = 500
    type = "server_error"
    code = "internal_error"
    request_id: str | None = None
    details: Mapping[str, object] | None = None

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        if code is not None:
            self.code = code


class CallerError(RequestError):
    """The caller must change the request."""

    status = 400
    type = "invalid_request_error"


class BadRequestError(CallerError):
    """The body is not what the endpoint takes, or its fields contradict each other."""

    code = "invalid_request"


class BadVirtualKeyError(CallerError):
    """The virtual key is missing or unknown. The text never says which, so that a caller cannot probe for keys."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"

    def __init__(self) -> None:
        super().__init__("Missing or invalid virtual key: send one as 'Authorization: Bearer ll_live_…'.")


class BadSignInError(CallerError):
    """The person is unknown or the password is wrong. The text never says which."""

    status = 401
    type = "authentication_error"
    code = "sign_in_failed"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class BudgetSpentError(CallerError):
    """A budget is spent, and no lane is left that another budget pays for."""

    status = 402
    type = "billing_error"
    code = "budget_spent"


class ForbiddenError(CallerError):
    """The virtual key is valid, but it may not do this."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class UnknownModelError(CallerError):
    """No lane has the name that the caller asked for."""

    status = 404
    code = "model_not_found"


class NotFoundError(CallerError):
    """There is nothing at this path or under this id."""

    status = 404
    code = "not_found"


class ConflictError(CallerError):
    """The request does not fit the present state."""

    status = 409
    code = "conflict"


class MovedOnError(ConflictError):
    """Another change came first. Reading the state again and repeating the request may help."""


class IdempotencyInProgressError(CallerError):
    """A request with the same idempotency key is being answered."""

    status = 409
    code = "idempotency_in_progress"


class IdempotencyNotKeptError(CallerError):
    """A request with the same idempotency key was answered, but its answer was not kept."""

    status = 410
    code = "idempotency_answer_not_kept"


class IdempotencyMismatchError(CallerError):
    """The idempotency key was used for another request."""

    status = 422
    code = "idempotency_mismatch"


class IdempotencyUnavailableError(RequestError):
    """The gateway cannot look up now whether an idempotency key was used."""

    status = 503
    code = "idempotency_unavailable"


class DatabaseAwayError(RequestError):
    """The database does not answer, and the request needs it.

    Args:
        message: Text that says what cannot be done, and that nothing was done.
    """

    status = 503
    code = "database_away"

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}: try again", retry_after_s=_DATABASE_AWAY_S)


class VaultUnavailableError(RequestError):
    """A key cannot be stored or opened now: there is no master key, or it is another one."""

    status = 503
    code = "vault_unavailable"


class RateLimitedError(CallerError):
    """The virtual key sends more requests or tokens than it may in a minute."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    headers: Sequence[tuple[bytes, bytes]] = ()


class MethodNotAllowedError(CallerError):
    """The path exists, but it takes another method.

    Args:
        message: Text that names the path and the method.
        allowed: Methods that the path takes, as the header `Allow` lists them (RFC 9110, 15.5.6).
    """

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class TooLargeError(CallerError):
    """The body is larger than the gateway takes."""

    status = 413
    code = "body_too_large"


class UnsupportedEncodingError(CallerError):
    """The body is compressed in a way that the gateway does not unpack."""

    status = 415
    code = "unsupported_encoding"


class NoLaneError(RequestError):
    """Every lane was excluded by a constraint."""

    status = 503
    type = "no_lane_error"
    code = "no_eligible_lane"


class UnfitRequestError(NoLaneError):
    """Every lane was excluded by what the request itself asks for, so another try cannot succeed."""

    status = 400
    type = "invalid_request_error"


class RegionUnavailableError(NoLaneError):
    """No lane runs in the region that the caller asked for. The gateway never falls back to another region."""

    status = 400
    type = "invalid_request_error"
    code = "region_unavailable"


class AttemptSummary(msgspec.Struct, frozen=True):
    """One failed attempt as an error lists it: lane, HTTP status, our word for the outcome, code of the cause."""

    lane: str
    status: int | None
    outcome: str
    code: str | msgspec.UnsetType = msgspec.UNSET


class UpstreamError(RequestError):
    """Every attempted lane failed.

    Args:
        message: Text that says what the lanes answered.
        attempts: Failed attempts, in the order in which they were made.
        status: HTTP status of the answer to the caller.
        code: Machine-readable name of the error; None: the one of the class.
        retry_after_s: Whole seconds to wait before another try; None: waiting does not help.
    """

    status = 502
    type = "upstream_error"
    code = "all_lanes_failed"

    def __init__(
        self,
        message: str,
        attempts: Sequence[AttemptSummary],
        *,
        status: int = 502,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message, code=code, retry_after_s=retry_after_s)
        self.attempts = tuple(attempts)
        self.status = status


def budget_spent_error(scope: str, resets_at: datetime) -> BudgetSpentError:
    """Return the error that names a spent budget and the time at which its next month begins."""
    return BudgetSpentError(
        f"the monthly budget of {scope} has not enough left for this request, and no other lane may answer. "
        f"The next month begins at {resets_at:%Y-%m-%dT%H:%M:%SZ}"
    )


def failed_check(message: str) -> str:
    """Return pydantic's message about a refused value, in the words of our own check where one refused it."""
    return message.removeprefix("Value error, ")
