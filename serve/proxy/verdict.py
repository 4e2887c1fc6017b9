"""What a provider's refusal means: who is at fault, whether another lane may answer, and what has to rest."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Literal

from router.telemetry_schema import Outcome
from serve.upstream.refusals import ProviderError, RefusalMeaning, RefusalTable, refused_parameter

Rest = Literal["none", "lane", "model", "account", "credentials"]

_CREDENTIAL_STATUSES = frozenset({401, 402, 403})
_LANE_STATUSES = frozenset({404, 408, 410})


@dataclass(frozen=True, slots=True)
class Verdict:
    """How to go on after a failed attempt.

    Args:
        outcome: Outcome for the log.
        may_fall_back: Whether another lane may answer; False: the request is wrong, and the caller gets the error.
        rest: Group of lanes that rests; `model` is the lane alone, for as long as a refused key.
        code: Code of the gateway, for logs and errors.
        is_callers_fault: Whether the refusal is about what the request says. If no lane answers, the caller gets it.
        parameter: Parameter that the lane refuses; None: another reason.
    """

    outcome: Outcome
    may_fall_back: bool
    rest: Rest
    code: str
    is_callers_fault: bool = False
    parameter: str | None = None


def judge_status(status: int) -> Verdict:
    """Return the verdict on an HTTP status of at least 400 (or a redirect, which no provider's API answers with).

    429 means that the account is over its limit. 503 and Anthropic's 529 mean that the provider is full, so this lane
    alone rests.
    """
    if status == 429:
        return Verdict("rate_limited", True, "account", "rate_limited")
    if status in _CREDENTIAL_STATUSES:
        return Verdict("upstream_error", True, "credentials", "provider_key_refused")
    if status in _LANE_STATUSES or status >= 500 or status < 400:
        return Verdict("upstream_error", True, "lane", f"upstream_{status}")
    return Verdict("upstream_error", False, "none", f"upstream_{status}", is_callers_fault=True)


_OF_MEANING: Mapping[RefusalMeaning, Verdict] = MappingProxyType(
    {
        "over_limit": Verdict("rate_limited", True, "account", "rate_limited"),
        "request_over_limit": Verdict("rate_limited", True, "none", "request_over_limit"),
        "full": Verdict("upstream_error", True, "lane", "provider_full"),
        "failed": Verdict("upstream_error", True, "lane", "model_failed"),
        "model": Verdict("upstream_error", True, "model", "model_refused"),
        "no_credit": Verdict("upstream_error", True, "credentials", "no_credit"),
        "bad_key": Verdict("upstream_error", True, "credentials", "provider_key_refused"),
        "content": Verdict("upstream_error", False, "none", "content_refused", is_callers_fault=True),
        "too_long": Verdict("upstream_error", True, "none", "context_length_exceeded", is_callers_fault=True),
        "bad_request": Verdict("upstream_error", False, "none", "request_refused", is_callers_fault=True),
    }
)


def judge_refusal(status: int, error: ProviderError, provider: str, table: RefusalTable) -> Verdict:
    """Return the verdict on a response that is no answer: the one of the table if a row is about it, else its status'.

    Args:
        status: HTTP status, at least 400 or a redirect.
        error: Content of the error body.
        provider: Id of the provider.
        table: Table of refusals.
    """
    meaning = table.meaning_of(provider, status, error)
    if meaning is not None:
        return _OF_MEANING[meaning]
    parameter = refused_parameter(status, error)
    if parameter is None:
        return judge_status(status)
    return Verdict("upstream_error", True, "none", "parameter_refused", is_callers_fault=True, parameter=parameter)


CONNECT_FAILED = Verdict("connect_error", True, "lane", "connect_failed")
DEADLINE_PASSED = Verdict("timeout", True, "lane", "timeout")
NO_CREDENTIALS = Verdict("upstream_error", True, "lane", "no_credentials")
BUDGET_SPENT = Verdict("over_budget", True, "none", "budget_spent")
BUDGET_AWAY = Verdict("over_budget", True, "none", "budget_away")
STREAM_BROKEN = Verdict("broken_stream", True, "lane", "stream_broken")
NOT_AN_ANSWER = Verdict("upstream_error", True, "lane", "not_an_answer")


def read_retry_after(headers: Mapping[str, str], now: Callable[[], datetime]) -> float | None:
    """Return the seconds that the provider asks to wait; None: it does not say. Never negative.

    They are in `retry-after-ms` or `Retry-After` (RFC 9110, 10.2.3). A value that is neither a number nor a date is
    ignored.
    """
    milliseconds = headers.get("retry-after-ms")
    text = headers.get("retry-after")
    try:
        if milliseconds is not None:
            return _seconds(float(milliseconds) / 1_000)
        return None if text is None else _seconds(float(text))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return max(((at if at.tzinfo else at.replace(tzinfo=UTC)) - now()).total_seconds(), 0.0)


def _seconds(number: float) -> float | None:
    return max(number, 0.0) if math.isfinite(number) else None
