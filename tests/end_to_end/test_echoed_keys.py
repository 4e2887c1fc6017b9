"""Keys that somebody repeats: a provider in a header or a finish reason, a caller in a path or as a model's name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider, completion

pytestmark = pytest.mark.slow

PROVIDER_KEY = "canary-without-any-known-form-0123456789"  # nothing gives it away but that it was sent
CALLERS_KEY = "sk-ant-canary0123456789"
MODEL = {
    "upstream_model": "llama",
    "vendor_model": "meta/llama",
    "input_usd_per_mtok": "0.5",
    "output_usd_per_mtok": "1.5",
}


async def echo(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer well, and repeat the key where the log looks."""
    key = request.headers["authorization"].removeprefix("Bearer ")
    answer = completion(body["model"])
    answer["choices"][0]["finish_reason"] = f"{'x' * 190} because of {key}"
    return web.json_response(answer, headers={"x-request-id": key})


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayThread]:
    with ScriptedProvider(usually=echo) as provider:
        servers = [{"id": "box", "base_url": provider.base_url, "key": PROVIDER_KEY, "models": [MODEL]}]
        with GatewayThread(tmp_path, servers=servers) as gateway:
            yield gateway


def test_what_a_provider_repeats_is_stored_without_the_key_it_was_sent(gateway: GatewayThread) -> None:
    body = {"model": "smart-route", "messages": [{"role": "user", "content": "What is 17 * 23?"}]}
    assert httpx.post(f"{gateway.url}/v1/chat/completions", json=body).status_code == 200
    [attempt] = gateway.attempts()
    assert attempt.upstream_request_id == "[redacted]"
    assert attempt.finish_reason is not None
    assert "canary" not in attempt.finish_reason  # nor half of it, where the text is cut


def test_an_error_does_not_repeat_a_key_that_a_caller_sent_where_none_belongs(gateway: GatewayThread) -> None:
    answers = [httpx.get(f"{gateway.url}/v1/{CALLERS_KEY}")]
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"):
        asked = [{"role": "user", "content": "a"}]
        body = {"model": CALLERS_KEY, "messages": asked, "input": "a", "max_tokens": 5}
        answers.append(httpx.post(f"{gateway.url}{path}", json=body))
    for answer in answers:
        assert answer.status_code >= 400
        assert CALLERS_KEY not in answer.text
    assert "[redacted]" in answers[0].text
