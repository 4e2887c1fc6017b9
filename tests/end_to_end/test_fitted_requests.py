"""Cases of public reports: a request goes to a provider that takes it in another form. See the head of the fixture."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from aiohttp import web
from checkout import FIXTURES
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import RECORDED, ScriptedProvider, completion

pytestmark = pytest.mark.slow

CASES: dict[str, Any] = yaml.safe_load((FIXTURES / "cases" / "fitted_requests.yaml").read_text(encoding="utf-8"))
DOORS = {"chat": "chat/completions", "messages": "messages", "responses": "responses"}
SERVERS = ("anthropic", "bedrock", "gemini", "openai")
OWN = {
    "context_tokens": 200_000,
    "max_output_tokens": 32_000,
    "capabilities": ["tools", "images", "documents", "reasoning", "json_schema", "json_object"],
}
ABSENT = object()
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "m",
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Noon."}]}],
    "usage": {"input_tokens": 10, "output_tokens": 2},
}


async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer in the dialect of the path."""
    for part, dialect in (("/messages", "anthropic"), ("enerateContent", "gemini"), ("/converse", "bedrock")):
        if part in request.path:
            raw = (RECORDED / dialect / "answer.json").read_bytes()
            return web.Response(body=raw, content_type="application/json")
    if request.path.endswith("/responses"):
        return web.json_response(RESPONSE)
    return web.json_response(completion("m"))


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(usually=answer) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    rows = sorted({case["lane"].partition("/")[0] for case in CASES.values()} - {f"{name}-server" for name in SERVERS})
    providers: dict[str, Any] = {
        row: {"key": "a-key-of-the-cases", "base_url": provider.base_url, "credentials": "key"} for row in rows
    }
    providers["vertex"]["project"] = "cases"
    providers["openai"]["models"] = [{"upstream_model": "gpt-9", "vendor_model": "openai/gpt-9", **OWN}]
    servers = [
        {
            "id": f"{dialect}-server",
            "base_url": provider.base_url,
            "dialect": dialect,
            "models": [{"upstream_model": "m", **OWN}],
        }
        for dialect in SERVERS
    ]
    with GatewayThread(tmp_path_factory.mktemp("cases"), servers=servers, providers=providers) as running:
        yield running


def at(body: Any, pointer: str) -> Any:
    """Return what a JSON pointer finds; `ABSENT`: there is nothing."""
    for step in pointer.strip("/").split("/"):
        if isinstance(body, dict) and step in body:
            body = body[step]
        elif isinstance(body, list) and int(step) < len(body):
            body = body[int(step)]
        else:
            return ABSENT
    return body


@pytest.mark.parametrize("name", CASES)
def test_a_provider_gets_a_request_in_the_form_that_it_takes(
    name: str, gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    case = CASES[name]
    provider.requests.clear()
    provider.paths.clear()
    limit = {"max_tokens": 2_000} if case["door"] == "messages" else {}
    given = {"model": case["lane"], **limit, **case["body"]}
    answered = httpx.post(f"{gateway.url}/v1/{DOORS[case['door']]}", json=given)
    assert answered.status_code == 200, answered.text
    (sent,) = provider.requests
    assert provider.paths[0].endswith(case.get("path", ""))
    for pointer, wanted in case["sent"].items():
        present = at(sent, pointer)
        if wanted == "absent":
            assert present is ABSENT, pointer
        elif isinstance(wanted, str) and wanted.startswith("~"):
            assert re.fullmatch(wanted[1:], present), pointer
        else:
            assert present == wanted, pointer
    assert len({at(sent, pointer) for pointer in case.get("same", ())}) <= 1
    assert not [text for text in case.get("lacks", ()) if text in json.dumps(sent)]
    if "dropped" in case:
        assert answered.headers["x-llmdeal-dropped"] == case["dropped"]


@pytest.mark.parametrize("name", CASES)
def test_a_case_says_what_happens_and_where_it_was_reported(name: str) -> None:
    assert CASES[name]["situation"]
    assert CASES[name]["sources"]
    assert CASES[name]["sent"]


def test_a_server_of_the_operators_own_can_state_what_it_accepts(provider: ScriptedProvider, tmp_path: Path) -> None:
    quirks = {"call_id_length": 9, "keeps_developer_role": True, "renamed_parameters": {"seed": "random_seed"}}
    of_model = {"clamped_parameters": {"temperature": [0, 1]}}
    model = {"upstream_model": "m", **OWN, "quirks": of_model}
    server = {"id": "own", "base_url": provider.base_url, "quirks": quirks, "models": [model]}
    messages = [{"role": "developer", "content": "Be brief."}, *CASES["call-ids-of-nine-letters"]["body"]["messages"]]
    body = {"model": "own/m", "messages": messages, "seed": 3, "temperature": 1.5}
    provider.requests.clear()
    with GatewayThread(tmp_path, servers=[server]) as running:
        assert httpx.post(f"{running.url}/v1/chat/completions", json=body).status_code == 200
    (sent,) = provider.requests
    assert (sent["messages"][0]["role"], sent["random_seed"], sent["temperature"]) == ("developer", 3, 1)
    assert re.fullmatch("[A-Za-z0-9]{9}", sent["messages"][2]["tool_calls"][0]["id"])


def test_names_of_tools_that_are_too_long_come_back_as_they_were(
    gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    name = "mcp__a.server/with a long name__" + "x" * 60

    async def call_it(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        (tool,) = body["tools"]
        part = {"functionCall": {"name": tool["functionDeclarations"][0]["name"], "args": {}}}
        return web.json_response({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]})

    provider.script = [call_it]
    provider.requests.clear()
    tool = {"name": name, "input_schema": {"type": "object"}}
    body = {"model": "gemini-server/m", "max_tokens": 99, "messages": [{"role": "user", "content": "?"}]}
    answered = httpx.post(f"{gateway.url}/v1/messages", json={**body, "tools": [tool]}).json()
    assert [block["name"] for block in answered["content"] if block["type"] == "tool_use"] == [name]
    sent = provider.requests[0]["tools"][0]["functionDeclarations"][0]["name"]
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", sent)
