"""Endpoints, methods, paths and headers that SDKs and load balancers take for granted."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import WORDS, ScriptedProvider, refuse

pytestmark = pytest.mark.slow

CHAT: Any = [{"role": "user", "content": "What is 17 * 23?"}]
BODY = json.dumps({"model": "acme/llama", "messages": CHAT}).encode()
TEXT = "".join(WORDS)


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    rates = {"input_usd_per_mtok": "1", "output_usd_per_mtok": "1"}
    served = {"upstream_model": "llama", "vendor_model": "acme/llama", "context_tokens": 32_000, **rates}
    servers = [{"id": "box", "base_url": provider.base_url, "models": [served]}]
    folder = tmp_path_factory.mktemp("granted")
    with GatewayThread(folder, servers=servers, max_body_bytes=100_000) as running:
        yield running


@pytest.fixture
def client(gateway: GatewayThread) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1/", api_key="none", max_retries=0)


@pytest.mark.parametrize("name", ["smart-route", "acme/llama", "llama", "box/llama"])
def test_a_model_is_found_by_every_name_that_a_request_may_use(name: str, client: openai.OpenAI) -> None:
    model = client.models.retrieve(name)
    assert (model.id, model.object) == (name, "model")


def test_an_unknown_model_is_a_404_that_names_close_ones(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="acme/llama") as caught:
        client.models.retrieve("acme/lama")
    assert caught.value.code == "model_not_found"


def test_anthropics_sdk_finds_a_model_too(gateway: GatewayThread) -> None:
    assert anthropic.Anthropic(base_url=gateway.url, api_key="none").models.retrieve("acme/llama").id == "acme/llama"


def test_a_text_is_completed_whole_and_streamed(client: openai.OpenAI, provider: ScriptedProvider) -> None:
    whole = client.completions.create(model="acme/llama", prompt="What is 17 * 23?", max_tokens=20, stop=["x"])
    assert (whole.choices[0].text, whole.choices[0].finish_reason, whole.object) == (TEXT, "stop", "text_completion")
    assert provider.requests[-1]["messages"] == CHAT
    chunks = list(client.completions.create(model="acme/llama", prompt=["What is 17 * 23?"], stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT
    assert whole.usage is not None
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.model_dump()["cost"] == whole.usage.model_dump()["cost"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "a", "echo": True}, "echo"),
        ({"prompt": "a", "n": 2}, "n"),
        ({"prompt": "a", "suffix": "b"}, "suffix"),
    ],
)
def test_what_a_chat_cannot_do_is_refused_by_field(fields: Any, param: str, gateway: GatewayThread) -> None:
    answer = httpx.post(f"{gateway.url}/v1/completions", json={"model": "acme/llama", **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_the_tokens_of_a_response_are_counted(client: openai.OpenAI) -> None:
    counted = client.responses.input_tokens.count(model="acme/llama", input="What is 17 * 23?")
    assert counted.object == "response.input_tokens"
    assert counted.input_tokens > 3


@pytest.mark.parametrize("path", ["//v1/chat/completions", "/v1/chat/completions/", "/v1//chat/completions"])
def test_slashes_too_many_do_not_matter(path: str, gateway: GatewayThread) -> None:
    assert httpx.post(gateway.url + path, content=BODY).status_code == 200


def test_a_base_url_with_a_v1_too_many_does_not_matter(gateway: GatewayThread) -> None:
    message = anthropic.Anthropic(base_url=f"{gateway.url}/v1", api_key="none").messages.create(
        model="acme/llama", max_tokens=20, messages=[{"role": "user", "content": "hi"}]
    )
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/models", "/v1/models/smart-route"])
def test_head_is_answered_as_get_without_a_body(path: str, gateway: GatewayThread) -> None:
    answer, asked = httpx.head(gateway.url + path), httpx.get(gateway.url + path)
    assert (answer.status_code, answer.content) == (asked.status_code, b"")
    assert answer.headers["content-type"] == asked.headers["content-type"]


@pytest.mark.parametrize(("path", "allowed"), [("/v1/chat/completions", "POST"), ("/v1/models", "GET")])
def test_options_says_which_methods_a_path_takes(path: str, allowed: str, gateway: GatewayThread) -> None:
    answer = httpx.options(gateway.url + path)
    assert answer.status_code == 204
    assert allowed in answer.headers["allow"]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY)[2:-4]),
        ("identity", BODY),
    ],
)
def test_a_compressed_body_is_unpacked(encoding: str, body: bytes, gateway: GatewayThread) -> None:
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", content=body, headers={"content-encoding": encoding})
    assert answer.json()["choices"][0]["message"]["content"] == TEXT


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code"),
    [
        ("gzip", gzip.compress(b" " * 10_000_000), 413, "body_too_large"),
        ("gzip", BODY, 400, "invalid_encoding"),
        ("gzip", gzip.compress(BODY)[:-9], 400, "invalid_encoding"),
        ("br", BODY, 415, "unsupported_encoding"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_refused(
    encoding: str, body: bytes, status: int, code: str, gateway: GatewayThread
) -> None:
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", content=body, headers={"content-encoding": encoding})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("path", ["/v1/files", "/v1/audio/speech", "/v1/batches/b_1", "/v1/messages/batches"])
def test_what_is_not_offered_says_so(path: str, gateway: GatewayThread) -> None:
    answer = httpx.get(gateway.url + path)
    assert answer.status_code == 404
    assert "not offered here" in answer.json()["error"]["message"]


def test_a_misspelt_path_is_told_the_nearest_one(gateway: GatewayThread) -> None:
    for path in ("/v1/chat/completion", "/chat/completions"):
        message = httpx.post(gateway.url + path, content=BODY).json()["error"]["message"]
        assert "Did you mean /v1/chat/completions?" in message


def test_a_thread_is_refused_as_anthropics_sdk_understands(gateway: GatewayThread) -> None:
    body = {"model": "acme/llama", "max_tokens": 9, "thread": {"type": "create"}, "messages": CHAT}
    answer = httpx.post(f"{gateway.url}/v1/messages", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", "thread")
    assert error["details"] == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


def test_every_answer_has_the_id_that_sdks_read(client: openai.OpenAI, gateway: GatewayThread) -> None:
    completion = client.chat.completions.create(model="acme/llama", messages=CHAT)
    assert completion._request_id == gateway.attempts()[-1].request_id
    message = anthropic.Anthropic(base_url=gateway.url, api_key="none").messages.create(
        model="acme/llama", max_tokens=20, messages=[{"role": "user", "content": "hi"}]
    )
    assert message._request_id == gateway.attempts()[-1].request_id
    for path in ("/v1/models", "/healthz", "/nowhere"):
        assert httpx.get(gateway.url + path).headers["x-request-id"].startswith("req_")


def test_an_error_has_the_id_of_its_request(
    client: openai.OpenAI, gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    provider.script = [refuse(400, "no")]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="acme/llama", messages=CHAT)
    assert caught.value.request_id == gateway.attempts()[-1].request_id
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="acme/llama", messages=[])
    assert str(caught.value.request_id).startswith("req_")
