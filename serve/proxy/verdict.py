"""What a provider's refusal means: who is at fault, whether another lane may answer, and what has to rest."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Literal

import msgspec

from router.telemetry_schema import Outcome
from serve.upstream.refusals import Refusal, RefusalMeaning

Rest = Literal["none", "lane", "account", "credentials"]

_CREDENTIAL_STATUSES = frozenset({401, 402, 403})
_LANE_STATUSES = frozenset({404, 408, 410})


@dataclass(frozen=True, slots=True)
class Verdict:
    """How to go on after a failed attempt.

    Args:
        outcome: Outcome for the log.
        may_fall_back: Whether another lane may answer; False: the request is wrong, and the caller gets the error.
        rest: Group of lanes that rests.
        code: Code of the gateway, for logs and errors.
    """

    outcome: Outcome
    may_fall_back: bool
    rest: Rest
    code: str


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
    return Verdict("upstream_error", False, "none", f"upstream_{status}")


_OF_MEANING: Mapping[RefusalMeaning, Verdict] = MappingProxyType(
    {
        "over_limit": Verdict("rate_limited", True, "account", "rate_limited"),
        "full": Verdict("upstream_error", True, "lane", "provider_full"),
        "no_credit": Verdict("upstream_error", True, "credentials", "no_credit"),
        "bad_request": Verdict("upstream_error", False, "none", "request_refused"),
    }
)


def judge_refusal(status: int, text: str, headers: Mapping[str, str], refusals: Sequence[Refusal]) -> Verdict:
    """Return the verdict on a response that is no answer.

    Args:
        status: HTTP status, at least 400 or a redirect.
        text: Body of the response.
        headers: Headers by name in lower case.
        refusals: Refusals of this provider that mean something else than their status; the first that fits counts.
    """
    for refusal in refusals:
        if refusal.status == status and (refusal.says in text or refusal.says in headers.get("x-amzn-errortype", "")):
            return _OF_MEANING[refusal.means]
    return judge_status(status)


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


class _RetryInfo(msgspec.Struct, rename="camel"):
    retry_delay: str | None = None


class _ErrorDetails(msgspec.Struct):
    details: list[_RetryInfo] = []


class _ErrorBody(msgspec.Struct):
    error: _ErrorDetails


def read_retry_delay(text: str) -> float | None:
    """Return the seconds that Google's error body asks to wait; None: it does not say.

    They are in `google.rpc.RetryInfo`: `"retryDelay": "34.07s"`.
    """
    try:
        details = msgspec.json.decode(text, type=_ErrorBody).error.details
        delay = next((detail.retry_delay for detail in details if detail.retry_delay), None)
        return None if delay is None else _seconds(float(delay.removesuffix("s")))
    except (msgspec.MsgspecError, ValueError):
        return None


def _seconds(number: float) -> float | None:
    return max(number, 0.0) if math.isfinite(number) else None
