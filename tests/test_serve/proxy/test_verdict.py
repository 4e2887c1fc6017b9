"""What a provider's refusal means: who is at fault, what rests, and how long to wait."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from serve.proxy.verdict import judge_refusal, judge_status, read_retry_after, read_retry_delay
from serve.upstream.refusals import Refusal

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "text", "headers", "code", "rest"),
    [
        (429, '{"error": {"code": "insufficient_quota"}}', {}, "no_credit", "credentials"),
        (429, '{"error": {"code": "rate_limit_exceeded"}}', {}, "rate_limited", "account"),
        (429, "", {"x-amzn-errortype": "ModelNotReadyException:http://"}, "provider_full", "lane"),
        (400, '{"error": "a budget of ours"}', {}, "no_credit", "credentials"),
        (503, "insufficient_quota", {}, "upstream_503", "lane"),
    ],
)
def test_a_refusal_may_mean_something_else_than_its_status(
    status: int, text: str, headers: dict[str, str], code: str, rest: str
) -> None:
    refusals = [
        Refusal(429, "insufficient_quota", "no_credit"),
        Refusal(429, "ModelNotReady", "full"),
        Refusal(400, "budget", "no_credit"),
    ]
    verdict = judge_refusal(status, text, headers, refusals)
    assert (verdict.code, verdict.rest, verdict.may_fall_back) == (code, rest, True)


@pytest.mark.parametrize(
    ("status", "outcome", "may_fall_back", "rest"),
    [
        (429, "rate_limited", True, "account"),
        (503, "upstream_error", True, "lane"),
        (529, "upstream_error", True, "lane"),
        (500, "upstream_error", True, "lane"),
        (404, "upstream_error", True, "lane"),
        (302, "upstream_error", True, "lane"),
        (401, "upstream_error", True, "credentials"),
        (402, "upstream_error", True, "credentials"),
        (400, "upstream_error", False, "none"),
        (422, "upstream_error", False, "none"),
    ],
)
def test_a_status_says_who_is_at_fault_and_what_rests(
    status: int, outcome: str, may_fall_back: bool, rest: str
) -> None:
    verdict = judge_status(status)
    assert (verdict.outcome, verdict.may_fall_back, verdict.rest) == (outcome, may_fall_back, rest)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_how_long_to_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers, lambda: NOW) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('{"error": {"details": [{"@type": "x"}, {"@type": "google.rpc.RetryInfo", "retryDelay": "34.07s"}]}}', 34.07),
        ('{"error": {"details": [{"retryDelay": "soon"}]}}', None),
        ('{"error": {"message": "no"}}', None),
        ('{"error": "no"}', None),
        ("<html>", None),
    ],
)
def test_googles_body_says_how_long_to_wait(text: str, seconds: float | None) -> None:
    assert read_retry_delay(text) == seconds
