"""A new dialect is one folder or file and one line of the registry: nothing else has to be edited."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from aiohttp import web
from checkout import ROOT
from fakes.gateway_thread import GatewayThread
from fakes.parrot_dialect import PARROT
from fakes.scripted_provider import ScriptedProvider

from router.lane import Capability
from serve.catalogue.provider_rows import load_provider_rows
from serve.dialects.quirks import NO_QUIRKS
from serve.dialects.registry import DIALECTS, capabilities_of_dialects, parameters_refused_by
from serve.errors import ConfigurationError
from serve.packaged_files import data_dir
from serve.settings import load_settings

LANE = "cage/grey-1"
CRIES = ["Polly ", "wants ", "a cracker."]
QUESTION = [{"role": "user", "content": "What does Polly want?"}]
SERVER = """
[[servers]]
id = "cage"
base_url = "http://127.0.0.1:1/v1"
dialect = "{main}"
also_speaks = {further}
models = [{{ upstream_model = "grey-1" }}]
"""


async def cry(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer in the dialect of parrots."""
    counts = {"heard": 4, "cried": 6}
    if not body["stream"]:
        return web.json_response({"cry": "".join(CRIES), **counts})
    response = web.StreamResponse()
    await response.prepare(request)
    for piece in (*({"cry": word} for word in CRIES), counts):
        await response.write(json.dumps(piece).encode() + b"\n")
    return response


@pytest.fixture
def parrot_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for the line of the registry."""
    monkeypatch.setitem(DIALECTS, PARROT.name, PARROT)


@pytest.fixture
def cage() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(usually=cry) as provider:
        yield provider


@pytest.fixture
def gateway(parrot_is_registered: None, cage: ScriptedProvider, tmp_path: Path) -> Iterator[GatewayThread]:
    priced = {"upstream_model": "grey-1", "input_usd_per_mtok": "2", "output_usd_per_mtok": "8"}
    server = {"id": "cage", "base_url": cage.base_url, "dialect": "parrot", "key": "secret", "models": [priced]}
    with GatewayThread(tmp_path, servers=[server]) as running:
        yield running


def test_a_server_of_a_new_dialect_answers_a_chat_completion(gateway: GatewayThread, cage: ScriptedProvider) -> None:
    body = {"model": LANE, "messages": QUESTION, "seed": 1}
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body).json()
    assert answer["choices"][0]["message"]["content"] == "Polly wants a cracker."
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (4, 6)
    assert answer["usage"]["cost"] == pytest.approx((4 * 2 + 6 * 8) / 1e6)
    assert cage.requests == [{"heard": ["What does Polly want?"], "stream": False}]
    assert cage.paths == ["/v1/cries/grey-1"]
    assert (cage.headers[0]["x-parrot-key"], cage.headers[0]["x-parrot-version"]) == ("secret", "1")


def test_a_server_of_a_new_dialect_streams(gateway: GatewayThread, cage: ScriptedProvider) -> None:
    body = {"model": LANE, "messages": QUESTION, "stream": True}
    events = httpx.post(f"{gateway.url}/v1/chat/completions", json=body).text.split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events if event.startswith("data: {")]
    deltas = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]]
    assert "".join(deltas) == "Polly wants a cracker."
    assert chunks[-1]["usage"]["total_tokens"] == 10
    assert cage.paths == ["/v1/cries/grey-1/stream"]


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("messages", {"messages": QUESTION, "max_tokens": 9}, "message"),
        ("responses", {"input": "What does Polly want?"}, "response"),
    ],
)
def test_a_server_of_a_new_dialect_answers_callers_of_every_dialect(
    path: str, body: dict[str, Any], kind: str, gateway: GatewayThread
) -> None:
    answer = httpx.post(f"{gateway.url}/v1/{path}", json={"model": LANE, **body})
    assert answer.json().get("type", answer.json().get("object")) == kind
    assert "Polly wants a cracker." in answer.text


def test_the_catalogue_takes_a_provider_of_a_new_dialect(parrot_is_registered: None, tmp_path: Path) -> None:
    row = yaml.safe_load((data_dir() / "providers" / "groq.yaml").read_text()) | {"id": "zoo", "dialect": "parrot"}
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(row, sort_keys=False))
    assert [row.dialect for row in load_provider_rows(tmp_path)] == ["parrot"]


def test_the_facts_about_a_new_dialects_lanes_come_from_its_row(parrot_is_registered: None) -> None:
    assert parameters_refused_by("parrot", NO_QUIRKS) == {"seed"}
    assert capabilities_of_dialects(["parrot"], "google/gemini-x", NO_QUIRKS) == Capability.GEMINI_THOUGHTS


@pytest.mark.parametrize(
    ("main", "further", "complaint"),
    [
        (
            "parrot",
            [],
            r"servers\.0\.dialect: .*'parrot' is not .*Use one of: anthropic, bedrock, gemini, openai, responses\.",
        ),
        ("embeddings", [], r"servers\.0\.dialect: .*'embeddings' is not"),
        (
            "openai",
            ["gemini"],
            r"servers\.0\.also_speaks\.0: .*'gemini' is not .*Use one of: anthropic, openai, responses\.",
        ),
    ],
)
def test_a_dialect_that_the_registry_does_not_have_is_refused_by_name(
    main: str, further: list[str], complaint: str, tmp_path: Path
) -> None:
    config = tmp_path / "llmdeal.toml"
    config.write_text(SERVER.format(main=main, further=json.dumps(further)))
    with pytest.raises(ConfigurationError, match=complaint):
        load_settings(config, {})


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("dialect", "parrot", r"line 3: dialect: .*'parrot' is not a dialect .*Use one of: anthropic, bedrock"),
        ("also_speaks", ["parrot"], r"also_speaks\.0: .*'parrot' is not a dialect .*Use one of: anthropic, openai"),
    ],
)
def test_a_row_of_the_catalogue_with_an_unknown_dialect_is_refused_by_name(
    field: str, value: object, complaint: str, tmp_path: Path
) -> None:
    row = yaml.safe_load((data_dir() / "providers" / "groq.yaml").read_text()) | {field: value}
    (tmp_path / "groq.yaml").write_text(yaml.safe_dump(row, sort_keys=False))
    with pytest.raises(ConfigurationError, match=complaint):
        load_provider_rows(tmp_path)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_dialect_of_the_registry_has_a_folder_of_its_name_and_can_be_reached(name: str) -> None:
    dialect = DIALECTS[name]
    assert dialect.name == name
    assert dialect.upstream is not None or dialect.native is not None or dialect.caller is not None
    assert (ROOT / "serve" / "dialects" / name / "dialect.py").is_file()
