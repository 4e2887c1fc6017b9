"""Embeddings through OpenAI's SDK: the real gateway, real HTTP to a scripted provider, and a real model."""

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np
import openai
import pytest
from aiohttp import web
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider, refuse
from fakes.vector_server import NAME, vector_server

from serve.jobs.local_models.model_files import SMOLLM2

pytestmark = pytest.mark.slow

VECTOR = [0.25, -0.5, 1e-7]


async def embed(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    data = [{"object": "embedding", "index": index, "embedding": VECTOR} for index in range(len(texts))]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})


@pytest.fixture
def first() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def second() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


def server(name: str, base_url: str, price: str) -> dict[str, Any]:
    vectors = {
        "kind": "embedding",
        "upstream_model": f"{name}-embed",
        "vendor_model": "acme/embed",
        "input_usd_per_mtok": price,
    }
    chat = {"upstream_model": "chatty", "input_usd_per_mtok": "0.01", "output_usd_per_mtok": "0.01"}
    return {"id": name, "base_url": base_url, "models": [vectors, chat]}


@pytest.fixture
def gateway(first: ScriptedProvider, second: ScriptedProvider, tmp_path: Path) -> Iterator[GatewayThread]:
    servers = [server("first", first.base_url, "0.1"), server("second", second.base_url, "0.2")]
    with GatewayThread(tmp_path, servers=servers, read_timeout_s=1.0) as running:
        yield running


@pytest.fixture
def client(gateway: GatewayThread) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_vectors_come_from_the_cheapest_lane_of_the_model_and_say_what_they_cost(
    client: openai.OpenAI, first: ScriptedProvider, gateway: GatewayThread
) -> None:
    first.script = [embed]
    raw = client.embeddings.with_raw_response.create(
        model="acme/embed", input=["one", "two"], encoding_format="float", dimensions=3, extra_body={"session_id": "s"}
    )
    answer = raw.parse()
    assert [entry.embedding for entry in answer.data] == [VECTOR, VECTOR]
    assert raw.headers["x-llmdeal-lane"] == "first/first-embed"
    assert raw.headers["x-llmdeal-cost-usd"] == "0.000000800"
    assert answer.usage.model_dump()["cost"] == 8e-7
    assert first.paths == ["/v1/embeddings"]
    assert first.requests == [
        {"model": "first-embed", "input": ["one", "two"], "encoding_format": "float", "dimensions": 3}
    ]
    [row] = gateway.attempts()
    assert (row.endpoint, row.outcome, row.prompt_tokens, row.completion_tokens) == ("/v1/embeddings", "ok", 8, 0)
    assert row.cost_nusd == 800


def test_another_lane_of_the_same_model_stands_in(
    client: openai.OpenAI, first: ScriptedProvider, second: ScriptedProvider, gateway: GatewayThread
) -> None:
    first.script, second.script = [refuse(429)], [embed]
    client.embeddings.create(model="acme/embed", input="one")
    assert [row.lane_id for row in gateway.attempts()] == ["first/first-embed", "second/second-embed"]


def test_chats_never_go_to_a_lane_that_makes_vectors_nor_the_other_way_round(gateway: GatewayThread) -> None:
    chat = {"model": "smart-route", "messages": [{"role": "user", "content": "hi"}], "route": {"explain": True}}
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=chat).json()
    assert {lane["lane"] for lane in answer["llmdeal"]["candidates"]} == {"first/chatty", "second/chatty"}
    refused = httpx.post(f"{gateway.url}/v1/embeddings", json={"model": "first/chatty", "input": "x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    names = [entry["id"] for entry in httpx.get(f"{gateway.url}/v1/models").json()["data"]]
    assert names == ["smart-route", "first/chatty", "second/chatty", "acme/embed"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "smart-route"}, "model"),
        ({"model": "smart-route:floor"}, "model"),
        ({"models": ["acme/embed"]}, "models"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": [[]]}, "input[0]"),
        ({"input": {"text": "x"}}, "input"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_field(
    gateway: GatewayThread, fields: dict[str, Any], param: str
) -> None:
    answer = httpx.post(f"{gateway.url}/v1/embeddings", json={"model": "acme/embed", "input": "x", **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("given", ["text", [1, 2, 3], [[1, 2], [3]], ["a", "b"]])
def test_texts_and_tokens_are_passed_on_as_they_came(
    client: openai.OpenAI, first: ScriptedProvider, given: Any
) -> None:
    first.script = [embed]
    client.embeddings.create(model="first/first-embed", input=given, encoding_format="float")
    assert first.requests[0]["input"] == given


def test_an_answer_without_vectors_is_none(client: openai.OpenAI, gateway: GatewayThread) -> None:
    with pytest.raises(openai.APIStatusError, match="every attempted lane failed"):
        client.embeddings.create(
            model="first/first-embed", input="x"
        )  # the script is empty: it answers with a chat completion
    assert gateway.attempts()[0].outcome == "upstream_error"


def test_the_catalogue_offers_vectors_with_a_provider_key(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(GatewayThread(tmp_path, {"OPENAI_API_KEY": "provider-secret-1"}))
        data = httpx.get(f"{running.url}/v1/models").json()["data"]
        (small,) = [entry for entry in data if entry["id"] == "openai/text-embedding-3-small"]
        assert small["lanes"][0]["pricing"]["input_usd_per_mtok"] == "0.02"
        assert small["lanes"][0]["pricing"]["output_usd_per_mtok"] == "0"


@dataclass
class RealVectors:
    """A real model, the gateway in front of it, and OpenAI's SDK."""

    base_url: str
    gateway: GatewayThread
    client: openai.OpenAI


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealVectors]:
    served = {
        "kind": "embedding",
        "upstream_model": NAME,
        "vendor_model": SMOLLM2.vendor_model,
        "input_usd_per_mtok": "0.5",
    }
    with vector_server(SMOLLM2) as base_url:
        servers = [{"id": "box", "base_url": base_url, "models": [served]}]
        with (
            GatewayThread(tmp_path, servers=servers, sandbox="on") as running,
            openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as client,
        ):
            yield RealVectors(base_url, running, client)


@pytest.mark.real
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_a_real_model_makes_vectors_that_say_what_they_cost(
    encoding: Literal["float", "base64"], real: RealVectors
) -> None:
    texts = ["The cat sits on the mat.", "A cat is on the rug.", "Quarterly tax returns are due."]
    raw = real.client.embeddings.with_raw_response.create(
        model=SMOLLM2.vendor_model, input=texts, encoding_format=encoding
    )
    direct = httpx.post(
        f"{real.base_url}/embeddings", json={"model": NAME, "input": texts, "encoding_format": "float"}
    ).json()
    answer = raw.parse()
    given: Any = [entry.embedding for entry in answer.data]
    if encoding == "base64":  # asked for by name, the SDK hands it on as it came
        given = [np.frombuffer(base64.b64decode(each), np.float32) for each in given]
    assert np.allclose(given, [entry["embedding"] for entry in direct["data"]], atol=1e-6)
    assert np.dot(given[0], given[1]) > np.dot(given[0], given[2])
    counted = direct["usage"]["prompt_tokens"]
    [row] = real.gateway.attempts()
    assert answer.usage.prompt_tokens == row.prompt_tokens == counted > 10
    assert row.cost_nusd == counted * 500
    assert raw.headers["x-llmdeal-cost-usd"] == f"{counted * 0.5e-6:.9f}"
    assert answer.usage.model_dump()["cost"] == pytest.approx(counted * 0.5e-6)


@pytest.mark.real
def test_where_the_sdk_chooses_the_encoding_numbers_come_out(real: RealVectors) -> None:
    answer = real.client.embeddings.create(model=SMOLLM2.vendor_model, input="The cat sits on the mat.")
    assert len(answer.data[0].embedding) == 576
    assert np.linalg.norm(answer.data[0].embedding) == pytest.approx(1, abs=1e-3)
