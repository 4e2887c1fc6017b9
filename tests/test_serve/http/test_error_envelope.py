"""Errors as the callers of each dialect read them, byte for byte."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.errors import AttemptSummary, BadRequestError, BudgetSpentError, RequestError, UpstreamError
from serve.http.error_envelope import error_envelope, error_headers, messages_error_envelope

FAILED = UpstreamError(
    "all lanes failed", [AttemptSummary("a/b", 500, "upstream_error"), AttemptSummary("c", None, "x")]
)


@pytest.mark.parametrize(
    ("error", "openai", "anthropic_type"),
    [
        (
            BadRequestError("no “model”", param="model"),
            '{"message":"no “model”","type":"invalid_request_error","param":"model","code":"invalid_request"}',
            "invalid_request_error",
        ),
        (
            BudgetSpentError("spent"),
            '{"message":"spent","type":"billing_error","param":null,"code":"budget_spent"}',
            "billing_error",
        ),
        (
            FAILED,
            '{"message":"all lanes failed","type":"upstream_error","param":null,"code":"all_lanes_failed","attempts":'
            '[{"lane":"a/b","status":500,"outcome":"upstream_error"},{"lane":"c","status":null,"outcome":"x"}]}',
            "api_error",
        ),
    ],
    ids=["caller", "budget", "upstream"],
)
def test_an_error_has_the_fields_of_its_dialect_in_their_order(
    error: RequestError, openai: str, anthropic_type: str
) -> None:
    assert msgspec.json.encode(error_envelope(error)).decode() == f'{{"error":{openai}}}'
    inner = openai.replace(f'"type":"{error.type}"', f'"type":"{anthropic_type}"')
    assert msgspec.json.encode(messages_error_envelope(error)).decode() == f'{{"type":"error","error":{inner}}}'


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_message_is_encoded_as_the_standard_library_encodes_it(param: str) -> None:
    encoded = msgspec.json.encode(error_envelope(BadRequestError("wrong", param=param))).decode()
    assert encoded == json.dumps(json.loads(encoded), ensure_ascii=False, separators=(",", ":"))
    assert json.loads(encoded)["error"]["param"] == param


@pytest.mark.parametrize(("wait_s", "header"), [(None, None), (5, None), (60, None), (61, b"false"), (3_600, b"false")])
def test_a_wait_of_over_a_minute_is_left_to_the_caller(wait_s: int | None, header: bytes | None) -> None:
    error = UpstreamError("all lanes failed", [], retry_after_s=wait_s)
    headers = dict(error_headers(error))
    assert headers.get(b"x-should-retry") == header
    assert headers.get(b"retry-after") == (None if wait_s is None else str(wait_s).encode())
