"""What a provider's refusal means: who is at fault, what rests, and how long to wait."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from serve.catalogue.refusal_rows import load_refusals
from serve.packaged_files import data_dir
from serve.proxy.verdict import judge_refusal, judge_status, read_retry_after
from serve.upstream.refusals import RefusalTable, read_provider_error, refused_parameter

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def table() -> RefusalTable:
    return load_refusals(data_dir() / "refusals.yaml")


def openai_error(message: str, **fields: str) -> str:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", **fields}})


@pytest.mark.parametrize(
    ("provider", "status", "text", "headers", "code", "rest"),
    [
        ("openai", 429, openai_error("no", code="insufficient_quota"), {}, "no_credit", "credentials"),
        ("openai", 429, openai_error("slow down", code="rate_limit_exceeded"), {}, "rate_limited", "account"),
        ("openai", 429, openai_error("Request too large for gpt-5 on TPM"), {}, "request_over_limit", "none"),
        ("anthropic", 400, openai_error("Your credit balance is too low"), {}, "no_credit", "credentials"),
        ("xai", 429, '"Your team has used all available credits"', {}, "no_credit", "credentials"),
        ("openrouter", 403, openai_error("Key limit exceeded (total limit)"), {}, "no_credit", "credentials"),
        ("bedrock", 429, "", {"x-amzn-errortype": "ModelNotReadyException:http://"}, "provider_full", "lane"),
        ("bedrock", 424, "{}", {"x-amzn-errortype": "ModelErrorException"}, "model_failed", "lane"),
        ("bedrock", 400, '{"message": "with on-demand throughput isn\u2019t supported"}', {}, "model_refused", "model"),
        ("openai", 403, openai_error("no access", code="model_not_found"), {}, "model_refused", "model"),
        ("groq", 413, openai_error("TPM", code="rate_limit_exceeded"), {}, "request_over_limit", "none"),
        ("groq", 400, openai_error("Failed", code="tool_use_failed"), {}, "model_failed", "lane"),
        ("openrouter", 429, '{"error": {"metadata": {"provider_name": "Acme"}}}', {}, "provider_full", "lane"),
        ("acme", 429, '{"error": {"metadata": {"provider_name": "Acme"}}}', {}, "rate_limited", "account"),
        ("acme", 400, openai_error("maximum context length is 8192 tokens"), {}, "context_length_exceeded", "none"),
        ("acme", 503, openai_error("We are full"), {}, "upstream_503", "lane"),
        ("acme", 400, openai_error("Unsupported parameter: 'min_p'"), {}, "parameter_refused", "none"),
    ],
)
def test_a_refusal_means_what_it_says_and_not_what_its_status_says(
    provider: str, status: int, text: str, headers: dict[str, str], code: str, rest: str, table: RefusalTable
) -> None:
    verdict = judge_refusal(status, read_provider_error(text, headers), provider, table)
    assert (verdict.code, verdict.rest, verdict.may_fall_back) == (code, rest, True)


@pytest.mark.parametrize(
    ("provider", "status", "text", "code"),
    [
        ("xai", 403, '{"code": "no permission", "error": "Content violates usage guidelines."}', "content_refused"),
        ("azure", 400, openai_error("filtered", code="content_filter"), "content_refused"),
        ("acme", 400, openai_error("messages: at least one message is required"), "upstream_400"),
        ("acme", 400, openai_error("bad", param="messages[1].content"), "upstream_400"),
    ],
)
def test_what_the_request_itself_does_wrong_is_tried_nowhere_else(
    provider: str, status: int, text: str, code: str, table: RefusalTable
) -> None:
    verdict = judge_refusal(status, read_provider_error(text, {}), provider, table)
    assert (verdict.code, verdict.rest, verdict.may_fall_back) == (code, "none", False)


@pytest.mark.parametrize(
    ("message", "param", "parameter"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model.", None, "max_tokens"),
        ("Unsupported value: 'temperature' does not support 0.2 with this model.", None, "temperature"),
        ("Unrecognized request argument supplied: reasoning_effort", None, "reasoning_effort"),
        ("output_config.effort: Extra inputs are not permitted", None, "output_config"),
        ('Invalid JSON payload received. Unknown name "logit_bias": Cannot find field.', None, "logit_bias"),
        ("property 'seed' is unsupported", None, "seed"),
        ("`top_k` is not supported for this model", None, "top_k"),
        ("This model does not support the parameter 'stop'", None, "stop"),
        ("something", "response_format.json_schema", "response_format"),
        ("something", "messages", None),
        ("The request is wrong", None, None),
        ("model: Input should be a valid string", None, None),
    ],
)
def test_the_parameter_that_a_refusal_names_is_read(message: str, param: str | None, parameter: str | None) -> None:
    text = openai_error(message) if param is None else openai_error(message, param=param)
    assert refused_parameter(400, read_provider_error(text, {})) == parameter


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
        ('[{"error": {"details": [{"retryDelay": "34.07s"}]}}]', 34.07),
        ('{"error": {"details": [{"retryDelay": "soon"}]}}', None),
        ('{"error": {"message": "no"}}', None),
        ('{"error": "no"}', None),
        ("<html>", None),
    ],
)
def test_googles_body_says_how_long_to_wait(text: str, seconds: float | None) -> None:
    assert read_provider_error(text, {}).retry_delay_s == seconds
