"""Errors of the gateway, grouped by who must act; `serve.http.error_envelope` turns those of a request into HTTP.

ServeError
├── ConfigurationError       settings, catalogue or bundle are wrong      (operator; at start, never at the first request)
│   ├── StorageError         the database cannot be opened or brought to this version
│   └── VaultError           a stored key cannot be sealed or opened
├── ExportError              a telemetry export cannot be written as asked  (operator)
└── RequestError             a request ends with an error
    ├── CallerError          the request is wrong
    │   ├── BadRequestError  400
    │   ├── BadVirtualKeyError 401
    │   ├── BadSignInError   401
    │   ├── BudgetSpentError 402
    │   ├── ForbiddenError   403
    │   ├── UnknownModelError 404
    │   ├── NotFoundError    404
    │   ├── ConflictError    409
    │   │   └── MovedOnError     another change came first
    │   ├── IdempotencyInProgressError 409
    │   ├── IdempotencyNotKeptError 410
    │   ├── TooLargeError    413
    │   ├── IdempotencyMismatchError 422
    │   └── RateLimitedError 429
    ├── VaultUnavailableError 503 no master key, or another one
    ├── DatabaseAwayError    503 the database does not answer
    ├── IdempotencyUnavailableError 503 the database that knows of idempotency keys is away
    ├── NoLaneError          503 (400 for a region): constraints left no lane
    └── UpstreamError        502 every attempted lane failed, or what the one lane answered
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

_DATABASE_AWAY_S = 2


class ServeError(Exception):
    """Base of all errors of this package; never raised itself."""


class ConfigurationError(ServeError):
    """What the operator configured cannot work; the message names what, where and the mend."""


class StorageError(ConfigurationError):
    """The database cannot be reached, or its tables cannot be brought to the version of this program."""


class VaultError(ConfigurationError):
    """A stored key cannot be sealed or opened: no master key, another one, or a damaged record."""


class ExportError(ServeError):
    """A telemetry export cannot be written where, or for the time, that was asked."""


class RequestError(ServeError):
    """A request ends with this error.

    Args:
        message: What was wrong and how to mend it; never a secret, a prompt or a header.
        status: The HTTP status.
        type: The class of error in OpenAI's envelope.
        code: What exactly, machine-readable.
        param: The request field at fault, if one is.
        retry_after_s: When to try again, whole seconds, if that helps.
    """

    status = 500
    type = "server_error"
    code = "internal_error"

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
    """The body is not what the endpoint takes, or contradicts itself."""

    code = "invalid_request"


class BadVirtualKeyError(CallerError):
    """No virtual key, or one that is not ours. The text never says which, so that nothing can be probed."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"

    def __init__(self) -> None:
        super().__init__("Missing or invalid virtual key: send one as 'Authorization: Bearer ll_live_…'.")


class BadSignInError(CallerError):
    """No such person, or another password. The text never says which."""

    status = 401
    type = "authentication_error"
    code = "sign_in_failed"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class BudgetSpentError(CallerError):
    """A budget is spent, and no lane is left that another one pays for."""

    status = 402
    type = "billing_error"
    code = "budget_spent"


class ForbiddenError(CallerError):
    """The virtual key is valid and may not do this."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class UnknownModelError(CallerError):
    """No lane is called what the caller asked for."""

    status = 404
    code = "model_not_found"


class NotFoundError(CallerError):
    """There is nothing at this path or under this id."""

    status = 404
    code = "not_found"


class ConflictError(CallerError):
    """What is asked for does not fit how things stand now."""

    status = 409
    code = "conflict"


class MovedOnError(ConflictError):
    """Somebody else's change came first; looking again may help."""


class IdempotencyInProgressError(CallerError):
    """A request with the same idempotency key is being answered."""

    status = 409
    code = "idempotency_in_progress"


class IdempotencyNotKeptError(CallerError):
    """A request with the same idempotency key was answered, and its answer cannot be given again."""

    status = 410
    code = "idempotency_answer_not_kept"


class IdempotencyMismatchError(CallerError):
    """The idempotency key was used for another request."""

    status = 422
    code = "idempotency_mismatch"


class IdempotencyUnavailableError(RequestError):
    """Whether an idempotency key was used cannot be told now."""

    status = 503
    code = "idempotency_unavailable"


class DatabaseAwayError(RequestError):
    """The database does not answer, and without it this cannot be done.

    Args:
        message: What cannot be done, and that nothing was.
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
    """The virtual key asks more often, or for more, than it may in a minute."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    headers: Sequence[tuple[bytes, bytes]] = ()


class MethodNotAllowedError(CallerError):
    """The path exists and takes another method.

    Args:
        message: Says so.
        allowed: The methods that it takes, as the header `Allow` lists them (RFC 9110, 15.5.6).
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


class NoLaneError(RequestError):
    """Every lane was excluded by a constraint."""

    status = 503
    type = "no_lane_error"
    code = "no_eligible_lane"


class RegionUnavailableError(NoLaneError):
    """No lane runs in the region asked for; never a silent fallback to another."""

    status = 400
    type = "invalid_request_error"
    code = "region_unavailable"


class AttemptSummary(msgspec.Struct, frozen=True):
    """One failed attempt, as listed in an error: which lane, what it answered, which of our words for it."""

    lane: str
    status: int | None
    outcome: str


class UpstreamError(RequestError):
    """Every attempted lane failed.

    Args:
        message: Says so.
        attempts: Each attempt, in order.
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
    """Return the error that names a spent budget and when it begins anew."""
    return BudgetSpentError(
        f"the monthly budget of {scope} has not enough left for this request, and no other lane may answer; "
        f"it begins anew at {resets_at:%Y-%m-%dT%H:%M:%SZ}"
    )
