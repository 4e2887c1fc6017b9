"""Feedback end to end: on a request, on a conversation, by shorthand, within its range, and from its own key only."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider

from router.telemetry_schema import FeedbackRow
from serve.identity.virtual_keys import issue_virtual_key
from serve.storage.database import open_database
from serve.telemetry.feedback_repository import FeedbackRepository

pytestmark = pytest.mark.slow

OWN = issue_virtual_key("test")
MODEL = {
    "upstream_model": "llama",
    "vendor_model": "meta/llama",
    "input_usd_per_mtok": "0.5",
    "output_usd_per_mtok": "1.5",
    "context_tokens": 32_000,
    "capabilities": ["json_schema"],
}
LONG_AGO, FAR_OFF = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayThread]:
    with ScriptedProvider() as provider:
        servers = [{"id": "first", "base_url": provider.base_url, "models": [MODEL]}]
        keys = [{"name": "own", "key": OWN, "scopes": ["inference", "owner"]}]
        with GatewayThread(tmp_path, virtual_keys=keys, servers=servers, outcome_checks_per_s=0) as running:
            yield running


def ask(gateway: GatewayThread, virtual_key: str = OWN, **fields: Any) -> str:
    body = {"model": "meta/llama", "messages": [{"role": "user", "content": "What is 17 * 23?"}], **fields}
    headers = {"authorization": f"Bearer {virtual_key}"}
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-llmdeal-request-id"]


def tell(gateway: GatewayThread, virtual_key: str = OWN, **fields: Any) -> httpx.Response:
    return httpx.post(f"{gateway.url}/v1/feedback", json=fields, headers={"authorization": f"Bearer {virtual_key}"})


def stored(gateway: GatewayThread) -> list[FeedbackRow]:
    gateway.attempts()
    return [row for rows in FeedbackRepository(gateway.resources.engine).read(LONG_AGO, FAR_OFF) for row in rows]


def test_thumbs_score_and_a_metric_of_ones_own_go_in_one_call(gateway: GatewayThread) -> None:
    request_id = ask(gateway)
    answer = tell(gateway, request_id=request_id, thumbs="up", score=0.75, metric_name="csat", value=9, comment="quick")
    assert (answer.status_code, answer.json()) == (
        202,
        {"request_id": request_id, "request_ids": [request_id], "is_recorded": True},
    )
    assert {(row.metric_name, row.value, row.comment) for row in stored(gateway)} == {
        ("thumbs", 1.0, "quick"),
        ("score", 0.75, "quick"),
        ("csat", 9.0, "quick"),
    }


def test_repeated_feedback_is_all_kept(gateway: GatewayThread) -> None:
    request_id = ask(gateway)
    for thumbs in ("up", "down", "up"):
        assert tell(gateway, request_id=request_id, thumbs=thumbs).status_code == 202
    assert [row.value for row in stored(gateway)] == [1.0, 0.0, 1.0]
    assert len({row.given_by for row in stored(gateway)}) == 1


def test_feedback_on_a_conversation_goes_to_its_last_answer_or_to_all(gateway: GatewayThread) -> None:
    asked = [ask(gateway, session_id="talk") for _ in range(3)]
    ask(gateway, session_id="another")
    [last] = tell(gateway, session_id="talk", thumbs="up").json()["request_ids"]
    assert last == asked[-1]
    everything = tell(gateway, session_id="talk", applies_to="all", score=0.5).json()["request_ids"]
    assert everything == asked[::-1]
    conversation_id = gateway.attempts()[0].conversation_id
    assert tell(gateway, conversation_id=conversation_id, thumbs="down").json()["request_ids"] == [last]


def test_a_conversation_named_in_the_header_is_the_same(gateway: GatewayThread) -> None:
    headers = {"authorization": f"Bearer {OWN}", "x-session-id": "talk"}
    body = {"model": "meta/llama", "messages": [{"role": "user", "content": "Hello?"}]}
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)
    assert tell(gateway, session_id="talk", thumbs="up").json()["request_id"] == answer.headers["x-llmdeal-request-id"]


def test_another_account_cannot_judge_nor_find_out(gateway: GatewayThread) -> None:
    operator = {"authorization": f"Bearer {OWN}"}
    assert (
        httpx.post(f"{gateway.url}/admin/v1/accounts", json={"account": "other"}, headers=operator).status_code == 201
    )
    issued = httpx.post(
        f"{gateway.url}/admin/v1/accounts/other/virtual-keys", json={"name": "theirs"}, headers=operator
    )
    other = issued.json()["key"]
    request_id = ask(gateway, session_id="talk")
    [row] = gateway.attempts()
    for named in ({"request_id": request_id}, {"session_id": "talk"}, {"conversation_id": row.conversation_id}):
        refused = tell(gateway, other, thumbs="up", **named)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
        assert refused.json()["error"]["param"] == next(iter(named))
    assert stored(gateway) == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"thumbs": "sideways"}, "thumbs"),
        ({"score": 1.5}, "score"),
        ({"metric_name": "thumbs", "value": 2}, "value"),
        ({"metric_name": "rating", "value": 0}, "value"),
        ({"metric_name": "judge.rubric", "value": -0.1}, "value"),
        ({"metric_name": "csat"}, None),
        ({"value": 1}, None),
        ({}, None),
        ({"thumbs": "up", "session_id": "talk"}, None),
        ({"thumbs": "up", "applies_to": "some"}, "applies_to"),
    ],
)
def test_feedback_that_says_nothing_or_too_much_is_refused(
    fields: dict[str, Any], param: str | None, gateway: GatewayThread
) -> None:
    refused = tell(gateway, request_id="req_" + "0" * 24, **fields)
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    if param is not None:
        assert refused.json()["error"]["param"] == param


def test_stars_and_metrics_of_ones_own_have_their_own_range(gateway: GatewayThread) -> None:
    request_id = ask(gateway)
    assert tell(gateway, request_id=request_id, metric_name="rating", value=5).status_code == 202
    assert tell(gateway, request_id=request_id, metric_name="latency_felt", value=-40.5).status_code == 202


def test_answers_are_checked_on_their_way_out_whole_and_streamed_and_no_text_is_kept(tmp_path: Path) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    with ScriptedProvider() as provider:
        servers = [{"id": "first", "base_url": provider.base_url, "models": [MODEL]}]
        with GatewayThread(tmp_path, virtual_keys=[{"name": "own", "key": OWN}], servers=servers) as gateway:
            whole = ask(gateway, response_format=wanted)
            streamed = ask(gateway, stream=True, response_format=wanted)
            gateway.finish_checks()
            judgements = {(row.request_id, row.metric_name, row.value, row.given_by) for row in stored(gateway)}
            rows = gateway.attempts()
    assert judgements == {
        (request_id, name, 0.0, f"check:{name}")
        for request_id in (whole, streamed)
        for name in ("schema_valid", "refusal")
    }
    assert all(row.prompt_text is None and row.answer_text is None for row in rows)


def test_what_was_checked_last_is_stored_when_the_gateway_stops(tmp_path: Path) -> None:
    with ScriptedProvider() as provider:
        servers = [{"id": "first", "base_url": provider.base_url, "models": [MODEL]}]
        with GatewayThread(tmp_path, virtual_keys=[{"name": "own", "key": OWN}], servers=servers) as gateway:
            asked = ask(gateway)
    engine = open_database(f"sqlite:///{tmp_path / 'llmdeal.db'}")
    [[row]] = FeedbackRepository(engine).read(LONG_AGO, FAR_OFF)
    engine.dispose()
    assert (row.request_id, row.metric_name) == (asked, "refusal")


def test_text_of_a_stream_is_kept_where_texts_are(tmp_path: Path) -> None:
    with ScriptedProvider() as provider:
        servers = [{"id": "first", "base_url": provider.base_url, "models": [MODEL]}]
        settings: dict[str, Any] = {"telemetry_content": "full", "outcome_checks_per_s": 0, "servers": servers}
        with GatewayThread(tmp_path, virtual_keys=[{"name": "own", "key": OWN}], **settings) as gateway:
            ask(gateway, stream=True)
            ask(gateway)
            assert [row.answer_text for row in gateway.attempts()] == ["The answer is 391."] * 2
