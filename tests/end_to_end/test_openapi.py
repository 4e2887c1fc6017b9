"""The gateway does what its OpenAPI document says.

Requests are made from the document itself, valid and invalid ones, over real HTTP.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from aiohttp import web
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks

from serve.http.hot_paths import GatewayApp
from serve.identity.virtual_keys import issue_virtual_key

pytestmark = pytest.mark.slow

VIRTUAL_KEY = issue_virtual_key("test")
HEADERS = {"Authorization": f"Bearer {VIRTUAL_KEY}"}
GETS = ["/healthz", "/metrics", "/readyz", "/v1/models", "/v1/models/{model_id}"]
CHAT = [{"role": "user", "content": "hi"}]
ANSWERABLE: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "smart-route", "messages": CHAT},
    "/v1/completions": {"model": "smart-route", "prompt": "hi"},
    "/v1/embeddings": {"model": "acme/embed", "input": "hi"},
    "/v1/messages": {"model": "smart-route", "messages": CHAT, "max_tokens": 9},
    "/v1/messages/count_tokens": {"model": "smart-route", "messages": CHAT},
    "/v1/responses": {"model": "smart-route", "input": "hi"},
    "/v1/responses/input_tokens": {"model": "smart-route", "input": "hi"},
    "/v1/route": {"model": "smart-route", "messages": CHAT},
}
POSTS = [*ANSWERABLE, "/v1/feedback"]
CHECKS: Any = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.ignored_auth,
]


async def embed(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    data = [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]
    return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 3}})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    vectors = {
        "kind": "embedding",
        "upstream_model": "embed",
        "vendor_model": "acme/embed",
        "input_usd_per_mtok": "0.1",
    }
    with ScriptedProvider(usually=embed) as provider:
        servers = [{"id": "box", "base_url": provider.base_url, "models": [vectors]}]
        folder = tmp_path_factory.mktemp("openapi")
        with GatewayThread(folder, keys=VIRTUAL_KEY, servers=servers, sandbox="on", sandbox_pace=0.0) as running:
            yield running


@pytest.fixture(scope="module")
def document(gateway: GatewayThread) -> Any:
    load_all_checks()
    return schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")


@pytest.fixture(scope="module")
def answered_id(gateway: GatewayThread) -> str:
    chat = httpx.post(f"{gateway.url}/v1/chat/completions", json=ANSWERABLE["/v1/chat/completions"], headers=HEADERS)
    return chat.headers["x-llmdeal-request-id"]


def make_answerable(case: Any, path: str, answered_id: str, data: st.DataObject) -> None:
    """Keep a few of the fields and ask for models that exist. Unknown names would end most requests at once."""
    kept = data.draw(st.lists(st.sampled_from(sorted(case.body)), max_size=2)) if case.body else []
    case.headers.pop("x-llmdeal-region", None)
    feedback = {"request_id": answered_id, "metric_name": "thumbs", "value": 1}
    case.body = {**ANSWERABLE.get(path, feedback), **{name: case.body[name] for name in kept}}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("mode", list(GenerationMode))
@given(data=st.data())
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
def test_requests_made_from_the_document_are_answered_as_it_says(
    mode: GenerationMode, path: str, gateway: GatewayThread, document: Any, answered_id: str, data: st.DataObject
) -> None:
    case = data.draw(document[path]["post"].as_strategy(mode))
    if mode is GenerationMode.POSITIVE and data.draw(st.booleans()):
        make_answerable(case, path, answered_id, data)
    response = case.call_and_validate(base_url=gateway.url, headers=HEADERS, checks=CHECKS, timeout=20)
    assert response.status_code != 500
    assert response.status_code != 422 or response.json()["error"]["code"] == "idempotency_mismatch"


@pytest.mark.parametrize("path", GETS)
def test_what_is_only_read_is_as_the_document_says(path: str, gateway: GatewayThread, document: Any) -> None:
    case = document[path]["get"].Case(path_parameters={"model_id": "smart-route"} if "{" in path else {})
    response = case.call_and_validate(base_url=gateway.url, headers=HEADERS, checks=CHECKS, timeout=20)
    assert response.status_code == 200


def test_every_endpoint_is_in_the_document(gateway: GatewayThread) -> None:
    described = httpx.get(f"{gateway.url}/openapi.json").json()["paths"]
    assert sorted(path for path in described if not path.startswith("/admin/")) == sorted([*POSTS, *GETS])
    assert isinstance(gateway.app, GatewayApp)
    assert gateway.app.hot_paths is not None
    assert gateway.app.hot_paths.endpoints.keys() <= described.keys()


@pytest.mark.parametrize(("path", "allowed"), [*((path, "POST") for path in POSTS), *((path, "GET") for path in GETS)])
def test_a_wrong_method_is_told_the_right_one(path: str, allowed: str, gateway: GatewayThread) -> None:
    response = httpx.put(f"{gateway.url}{path}", headers=HEADERS)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)  # RFC 9110, 15.5.6


@pytest.mark.parametrize("path", POSTS)
def test_what_is_no_json_is_called_so_at_every_endpoint(path: str, gateway: GatewayThread) -> None:
    response = httpx.post(
        f"{gateway.url}{path}", content=b'{"model": ', headers={**HEADERS, "content-type": "application/json"}
    )
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")
