"""Chat completions end to end: the official SDK, the real gateway, and real HTTP to a scripted provider."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from aiohttp import web
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import USAGE, WORDS, ScriptedProvider, break_off, completion, refuse, stream_events

from serve.identity.virtual_keys import issue_virtual_key

pytestmark = pytest.mark.slow

MESSAGES: Any = [{"role": "user", "content": "What is 17 * 23?"}]
VIRTUAL_KEY = issue_virtual_key("test")
COST_USD = Decimal(11) * Decimal("0.5") / 10**6 + Decimal(7) * Decimal("1.5") / 10**6


def server(
    provider_id: str, base_url: str, input_rate: str = "0.5", output_rate: str = "1.5", **others: Any
) -> dict[str, Any]:
    served = {
        "upstream_model": "llama",
        "vendor_model": "meta/llama",
        "input_usd_per_mtok": input_rate,
        "output_usd_per_mtok": output_rate,
    }
    return {
        "id": provider_id,
        "base_url": base_url,
        "models": [{**served, "context_tokens": 32_000, "trained_name": "llama-3.1-8b-instruct", **others}],
    }


@pytest.fixture
def first() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def second() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def gateway(first: ScriptedProvider, second: ScriptedProvider, tmp_path: Path) -> Iterator[GatewayThread]:
    servers = [server("first", first.base_url), server("second", second.base_url, "5", "15")]
    with GatewayThread(tmp_path, keys=VIRTUAL_KEY, servers=servers, read_timeout_s=1.0) as running:
        yield running


@pytest.fixture
def client(gateway: GatewayThread) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=VIRTUAL_KEY, max_retries=0) as client:
        yield client


def post(gateway: GatewayThread, **fields: Any) -> httpx.Response:
    body = {"model": "smart-route", "messages": MESSAGES, **fields}
    return httpx.post(
        f"{gateway.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {VIRTUAL_KEY}"}
    )


def test_an_answer_says_which_lane_it_took_what_it_cost_and_why(client: openai.OpenAI, gateway: GatewayThread) -> None:
    raw = client.chat.completions.with_raw_response.create(model="smart-route", messages=MESSAGES)
    answer = raw.parse()
    assert answer.choices[0].message.content == "The answer is 391."
    assert raw.headers["x-llmdeal-lane"] == "first/llama"
    assert raw.headers["x-llmdeal-provider"] == "first"
    assert raw.headers["x-llmdeal-model"] == "meta/llama"
    assert raw.headers["x-llmdeal-reason"] == "best_quality_per_dollar"
    assert raw.headers["x-llmdeal-attempts"] == "1"
    assert Decimal(raw.headers["x-llmdeal-cost-usd"]) == COST_USD
    assert raw.headers["x-ratelimit-remaining-requests"] == "41"
    assert float(raw.headers["x-llmdeal-overhead-ms"]) >= 0
    assert answer.usage is not None
    assert answer.usage.model_dump()["cost"] == pytest.approx(float(COST_USD))
    [row] = gateway.attempts()
    assert row.request_id == raw.headers["x-llmdeal-request-id"]
    assert (row.outcome, row.lane_id, row.finish_reason, row.upstream_request_id) == (
        "ok",
        "first/llama",
        "stop",
        "up-1",
    )
    assert row.cost_nusd == int(COST_USD * 10**9)
    assert row.prompt_text is None
    assert row.candidates is not None
    assert row.candidates.lane_ids == ("first/llama", "second/llama")
    assert row.propensity == 1.0


def test_a_stream_carries_the_same_words_and_the_same_cost_as_the_whole_answer(
    client: openai.OpenAI, gateway: GatewayThread
) -> None:
    whole = client.chat.completions.create(model="smart-route", messages=MESSAGES)
    chunks = list(client.chat.completions.create(model="smart-route", messages=MESSAGES, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "".join(WORDS)
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.model_dump()["cost"] == whole.usage.model_dump()["cost"]
    first_row, second_row = gateway.attempts()
    assert first_row.cost_nusd == second_row.cost_nusd
    assert second_row.is_streaming
    assert second_row.ttft_ms is not None


def test_a_stream_is_passed_on_byte_for_byte_up_to_its_usage(gateway: GatewayThread) -> None:
    body = post(gateway, stream=True).content
    untouched = b"".join(stream_events("llama")[:-3])
    assert body.startswith(untouched)
    assert body.endswith(b"data: [DONE]\n\n")


def test_the_provider_gets_its_own_model_id_and_none_of_our_fields(
    client: openai.OpenAI, first: ScriptedProvider, gateway: GatewayThread
) -> None:
    client.chat.completions.create(
        model="smart-route",
        messages=MESSAGES,
        temperature=0.5,
        extra_body={"route": {"explain": True}, "session_id": "s"},
    )
    assert first.requests == [{"model": "llama", "messages": MESSAGES, "temperature": 0.5}]
    assert VIRTUAL_KEY not in str(first.headers)


def test_the_explanation_lists_every_candidate(client: openai.OpenAI, gateway: GatewayThread) -> None:
    answer = client.chat.completions.create(
        model="smart-route", messages=MESSAGES, extra_body={"route": {"explain": True}}
    )
    why = answer.model_dump()["llmdeal"]
    assert [candidate["lane"] for candidate in why["candidates"]] == ["first/llama", "second/llama"]
    assert why["chosen"] == why["lane"] == "first/llama"
    assert why["runner_up"] == "second/llama"
    assert 0 < why["candidates"][0]["quality"] < 1


@pytest.mark.parametrize(
    ("refusal", "reason", "outcome"),
    [
        (refuse(429, headers={"retry-after": "30"}), "fallback_rate_limited", "rate_limited"),
        (refuse(500), "fallback_error", "upstream_error"),
        (refuse(401), "fallback_error", "upstream_error"),
        (refuse(404), "fallback_error", "upstream_error"),
    ],
)
@pytest.mark.parametrize("is_streaming", [False, True])
def test_a_refusal_falls_back_to_the_next_lane(
    refusal: Any, reason: str, outcome: str, is_streaming: bool, gateway: GatewayThread, first: ScriptedProvider
) -> None:
    first.script = [refusal]
    response = post(gateway, stream=is_streaming)
    assert response.status_code == 200
    assert response.headers["x-llmdeal-lane"] == "second/llama"
    assert response.headers["x-llmdeal-reason"] == reason
    assert response.headers["x-llmdeal-attempts"] == "2"
    failed, answered = gateway.attempts()
    assert (failed.outcome, failed.cost_nusd, failed.attempt) == (outcome, 0, 0)
    assert (answered.outcome, answered.attempt, answered.propensity) == ("ok", 1, None)


def test_what_a_provider_says_of_itself_is_logged_short_and_without_nul(
    gateway: GatewayThread, first: ScriptedProvider
) -> None:
    async def say_too_much(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        malformed = completion(body["model"])
        malformed["choices"][0]["finish_reason"] = "sto\0p" + "!" * 10_000
        return web.json_response(malformed)

    first.script = [say_too_much]
    assert post(gateway).status_code == 200
    (row,) = gateway.attempts()
    assert row.finish_reason is not None
    assert row.finish_reason.startswith("stop!!!")
    assert len(row.finish_reason) < 250


def test_a_limited_account_rests_and_the_next_request_goes_elsewhere_at_once(
    gateway: GatewayThread, first: ScriptedProvider
) -> None:
    first.script = [refuse(429, headers={"retry-after": "30"})]
    post(gateway)
    response = post(gateway)
    assert response.headers["x-llmdeal-lane"] == "second/llama"
    assert response.headers["x-llmdeal-attempts"] == "1"
    assert len(first.requests) == 1


def test_a_pin_is_never_overridden(gateway: GatewayThread, first: ScriptedProvider, second: ScriptedProvider) -> None:
    response = post(gateway, model="second:meta/llama")
    assert response.headers["x-llmdeal-lane"] == "second/llama"
    assert response.headers["x-llmdeal-reason"] == "pinned"
    second.script = [refuse(500)]
    refused = post(gateway, model="second:meta/llama")
    assert refused.status_code == 502
    assert refused.json()["error"]["attempts"] == [
        {"lane": "second/llama", "status": 500, "outcome": "upstream_error", "code": "upstream_500"}
    ]
    assert first.requests == []


def test_a_mistake_of_the_caller_is_shown_and_not_tried_elsewhere(
    gateway: GatewayThread, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.script = [refuse(400, "temperature must be below 2; key sk-abcdefghijkl")]
    response = post(gateway)
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    assert "temperature must be below 2" in message
    assert "sk-abcdefghijkl" not in message
    assert second.requests == []


def test_when_every_lane_fails_the_error_lists_each_and_what_it_said(
    gateway: GatewayThread, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.script, second.script = [refuse(503)], [refuse(429, headers={"retry-after": "9"})]
    response = post(gateway)
    assert response.status_code == 502
    assert [(attempt["lane"], attempt["status"]) for attempt in response.json()["error"]["attempts"]] == [
        ("first/llama", 503),
        ("second/llama", 429),
    ]
    assert response.headers["retry-after"] == "10"
    assert len(gateway.attempts()) == 2


def test_a_silent_provider_is_given_up_and_the_next_lane_answers(
    gateway: GatewayThread, first: ScriptedProvider
) -> None:
    first.script = [first.stall]
    response = post(gateway)
    assert response.headers["x-llmdeal-lane"] == "second/llama"
    assert gateway.attempts()[0].outcome == "timeout"
    assert gateway.attempts()[0].usage_is_estimated  # it may have read the prompt before it fell silent
    assert (gateway.attempts()[0].cost_nusd or 0) > 0


def test_a_stream_that_breaks_after_its_first_byte_ends_with_an_error_in_band(
    gateway: GatewayThread, first: ScriptedProvider
) -> None:
    first.script = [break_off]
    response = post(gateway, stream=True)
    assert response.status_code == 200
    assert b'"finish_reason":"error"' in response.content
    assert response.content.endswith(b"data: [DONE]\n\n")
    [row] = gateway.attempts()
    assert row.outcome == "broken_stream"
    assert row.usage_is_estimated
    assert row.cost_nusd is not None
    assert row.cost_nusd > 0


@pytest.mark.parametrize("is_streaming", [False, True])
def test_a_caller_who_goes_away_cancels_the_provider_and_still_leaves_a_row(
    is_streaming: bool, gateway: GatewayThread, first: ScriptedProvider
) -> None:
    first.script = [first.hang if is_streaming else first.stall]
    body = {"model": "smart-route", "messages": MESSAGES, "stream": is_streaming}
    headers = {"authorization": f"Bearer {VIRTUAL_KEY}"}
    if is_streaming:
        with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=body, headers=headers) as response:
            next(response.iter_bytes())
    else:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=0.3)
    assert first.hang_ended.wait(5)
    [row] = gateway.attempts()
    assert row.outcome == "client_disconnected"
    assert row.cost_nusd is not None
    assert row.cost_nusd > 0
    assert row.usage_is_estimated


def test_an_unreachable_lane_is_tried_again_and_then_left(tmp_path: Path, second: ScriptedProvider) -> None:
    servers = [server("gone", "http://127.0.0.1:9/v1"), server("second", second.base_url, "5", "15")]
    with GatewayThread(tmp_path, keys=VIRTUAL_KEY, servers=servers) as gateway:
        response = post(gateway)
        assert response.headers["x-llmdeal-lane"] == "second/llama"
        assert [row.outcome for row in gateway.attempts()] == ["connect_error", "connect_error", "ok"]


@pytest.mark.parametrize("authorization", [None, "Bearer ll_live_wrong", "Bearer another"])
def test_a_stranger_gets_the_same_text_whatever_is_wrong(
    authorization: str | None, gateway: GatewayThread, first: ScriptedProvider
) -> None:
    if authorization == "Bearer another":  # made here: test ids must not differ between workers
        authorization = f"Bearer {issue_virtual_key()}"
    headers = {} if authorization is None else {"authorization": authorization}
    response = httpx.post(f"{gateway.url}/v1/chat/completions", json={"model": "x"}, headers=headers)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"
    assert first.requests == []
    assert httpx.get(f"{gateway.url}/v1/models", headers=headers).json() == response.json()


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"model": "vendor/unknown"}, 404, "model_not_found", "model"),
        ({"models": ["vendor/unknown"]}, 404, "model_not_found", "models"),
        ({"messages": []}, 400, "invalid_request", "messages"),
        ({"route": {"region": "eu"}}, 400, "region_unavailable", "route.region"),
        ({"route": {"quality": 0.5, "quality_of_best": 0.9}}, 400, "invalid_request", "route.quality_of_best"),
        ({"route": {"quality_of_best": 1.5}}, 400, "invalid_request", "route.quality_of_best"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "no_eligible_lane", None),
        ({"provider": {"only": ["elsewhere"]}}, 400, "no_eligible_lane", "provider"),
        ({"provider": {"max_price": {"prompt": 0.01}}}, 400, "no_eligible_lane", "provider.max_price"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(
    fields: dict[str, Any], status: int, code: str, param: str | None, gateway: GatewayThread
) -> None:
    response = post(gateway, **fields)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert (status == 503) == ("retry-after" in response.headers)


def test_route_decides_and_asks_no_provider(
    gateway: GatewayThread, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    response = httpx.post(
        f"{gateway.url}/v1/route",
        json={"model": "smart-route", "messages": MESSAGES},
        headers={"authorization": f"Bearer {VIRTUAL_KEY}"},
    )
    decision = response.json()
    assert decision["chosen"] == "first/llama"
    assert sum(candidate["probability"] for candidate in decision["candidates"]) == pytest.approx(1)
    assert first.requests == second.requests == []


def test_feedback_is_stored_for_a_known_request_and_refused_for_an_unknown_one(gateway: GatewayThread) -> None:
    request_id = post(gateway).headers["x-llmdeal-request-id"]
    headers = {"authorization": f"Bearer {VIRTUAL_KEY}"}
    url = f"{gateway.url}/v1/feedback"
    good = {"request_id": request_id, "metric_name": "thumbs", "value": True}
    assert httpx.post(url, json=good, headers=headers).status_code == 202
    unknown = httpx.post(url, json={**good, "request_id": "req_" + "0" * 24}, headers=headers)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
    malformed = httpx.post(url, json={**good, "value": "great"}, headers=headers)
    assert (malformed.status_code, malformed.json()["error"]["type"]) == (400, "invalid_request_error")


def test_models_come_with_prices_and_capabilities(client: openai.OpenAI) -> None:
    listed = {row.id: row.model_dump() for row in client.models.list()}
    assert set(listed) == {"smart-route", "meta/llama"}
    lane = listed["meta/llama"]["lanes"][0]
    assert lane["pricing"]["input_usd_per_mtok"] == "0.5"
    assert lane["quality_basis"] == "trained"


def test_health_readiness_and_metrics_answer_without_a_key(gateway: GatewayThread) -> None:
    post(gateway)
    assert httpx.get(f"{gateway.url}/healthz").json() == {"status": "ok"}
    ready = httpx.get(f"{gateway.url}/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (
        200,
        {"lanes": True, "quality_model": True, "database": True},
    )
    metrics = httpx.get(f"{gateway.url}/metrics").text
    assert 'llmdeal_attempts_total{lane="first/llama",outcome="ok"} 1.0' in metrics
    assert f'llmdeal_prompt_tokens_total{{lane="first/llama"}} {USAGE["prompt_tokens"]}.0' in metrics


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/chat/completions", 405), ("GET", "/v1/nothing", 404), ("PUT", "/v1/models", 405)],
)
def test_a_wrong_path_or_method_gets_the_same_envelope(
    method: str, path: str, status: int, gateway: GatewayThread
) -> None:
    response = httpx.request(method, f"{gateway.url}{path}")
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
