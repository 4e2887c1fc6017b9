"""Common clients: each script of docs/clients runs unchanged in its own process, through the real gateway.

Chats and vectors come from real models. Models this small call no tools, so these calls are recorded bodies.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider, recorded
from fakes.vector_server import NAME, vector_server

from serve.identity.virtual_keys import issue_virtual_key
from serve.jobs.local_models.model_files import GEMMA3, SMOLLM2
from serve.jobs.local_models.processes import LocalModelProcess

pytestmark = [pytest.mark.real, pytest.mark.slow]

SCRIPTS = ROOT / "docs" / "clients"
GEMMA = f"{GEMMA3.server_id}/{GEMMA3.name}"
VECTORS = "acme/vectors"
BODIES = {
    "openai": ("openai/parallel-tools.json", "llama-cpp/chat-answer.json", "Paris"),
    "anthropic": ("anthropic/thinking-and-tools.json", "anthropic/answer.json", "Paris."),
    "gemini": ("gemini/thinking-and-tools.json", "gemini/answer.json", "Paris."),
}

SIGNATURES = {"anthropic": ["c2lnbmF0dXJl"], "gemini": ["c2ln"]}
"""Of these bodies' thoughts and calls, which the Anthropic class sends back."""


@pytest.fixture(scope="module")
def real_servers() -> Iterator[list[Any]]:
    with contextlib.ExitStack() as stack:
        gemma = stack.enter_context(LocalModelProcess.start(GEMMA3)).as_settings()
        base_url = stack.enter_context(vector_server(SMOLLM2))
        served = {"kind": "embedding", "upstream_model": NAME, "vendor_model": VECTORS, "input_usd_per_mtok": "0.1"}
        yield [gemma, {"id": "vectors", "base_url": base_url, "models": [served]}]


@dataclass
class Desk:
    """Where a script runs: its own folder, a gateway in front of real models, and a provider that calls tools."""

    gateway: GatewayThread
    provider: ScriptedProvider
    folder: Path
    virtual_key: str

    def run(self, script: str) -> str:
        """Run a script as its reader would, but for the gateway's address, and return what it printed."""
        for path in SCRIPTS.iterdir():
            text = path.read_text(encoding="utf-8").replace("http://127.0.0.1:8000", self.gateway.url)
            (self.folder / path.name).write_text(text, encoding="utf-8")
        environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(self.folder),
            "LLMDEAL_KEY": self.virtual_key,
            "EMBEDDING_MODEL": VECTORS,
            "LLM_USER_PATH": str(self.folder / "llm"),
            "LLM_LOAD_PLUGINS": "",  # one of them brings only weights here, and does not load
        }
        (self.folder / "llm").mkdir(exist_ok=True)
        command = [shutil.which("sh") or "sh"] if script.endswith(".sh") else [sys.executable]
        done = subprocess.run(
            [*command, script],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def answered(self) -> list[tuple[str, str]]:
        """Return the endpoint and the lane of every answer."""
        rows = self.gateway.attempts()
        assert {row.outcome for row in rows} == {"ok"}
        assert all(row.cost_nusd for row in rows)
        return [(row.endpoint, row.lane_id) for row in rows]


@pytest.fixture
def desk(real_servers: list[Any], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    dialect = getattr(request, "param", "openai")
    prices = {
        "input_usd_per_mtok": "5",
        "output_usd_per_mtok": "9",
        "ability": -6.0,
    }  # so that it answers where it must, only
    with ScriptedProvider() as provider:
        vendor = {"openai": "acme", "anthropic": "anthropic", "gemini": "google"}[dialect]
        served = {"upstream_model": "caller", "vendor_model": f"{vendor}/caller", "capabilities": ["tools"], **prices}
        tools = {"id": "tools", "base_url": provider.base_url, "dialect": dialect, "models": [served]}
        virtual_key = issue_virtual_key("test")
        servers = [*real_servers, tools]
        with GatewayThread(tmp_path, keys=virtual_key, servers=servers, willingness_to_pay_usd=0.0001) as gateway:
            yield Desk(gateway, provider, tmp_path, virtual_key)


def script_tool_rounds(desk: Desk, dialect: str, rounds: int) -> str:
    """Let the provider call tools and then answer, so many times; return what it answers."""
    calls, answer, final_answer = BODIES[dialect]
    desk.provider.script = [recorded(calls), recorded(answer)] * rounds
    return final_answer


def test_llm_answers_and_keeps_to_a_schema(desk: Desk) -> None:
    output = desk.run("llm.sh")
    assert "Paris" in output
    assert '"name": "Ann"' in output
    assert '"age": 34' in output
    assert desk.answered() == [("/v1/chat/completions", GEMMA)] * 2


def test_instructor_gets_an_object_and_its_cost(desk: Desk) -> None:
    person, cost = desk.run("instructor_client.py").splitlines()
    assert person == "Ann 34"
    assert float(cost.removeprefix("USD ")) > 0
    assert desk.answered() == [("/v1/chat/completions", GEMMA)]


def test_langchain_chats_streams_calls_tools_and_makes_vectors(desk: Desk) -> None:
    script_tool_rounds(desk, "openai", 1)
    answer, *tool_lines = (" ".join(line.split()) for line in desk.run("langchain_client.py").splitlines())
    text, cost = answer.split(" for USD ")
    assert text == "answer: Paris"
    assert float(cost) > 0
    assert tool_lines == [
        "stream: Paris True",
        "calls: [{'city': 'Paris', 'days': 2}, {'city': 'Zürich'}]",
        "after the tool: Paris",
        "vectors: 576 576",
    ]
    chat = "/v1/chat/completions"
    tools = [(chat, "tools/caller")] * 2
    assert desk.answered() == [(chat, GEMMA), (chat, GEMMA), *tools, ("/v1/embeddings", f"vectors/{NAME}")]


@pytest.mark.parametrize(("desk", "dialect"), [(dialect, dialect) for dialect in BODIES], indirect=["desk"])
def test_pydantic_ai_runs_an_agent_with_a_tool_at_every_door(desk: Desk, dialect: str) -> None:
    answer = script_tool_rounds(desk, dialect, 3)
    lines = desk.run("pydantic_ai_client.py").splitlines()
    doors = {"chat completions": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
    assert [line.partition(";")[0] for line in lines] == [
        f"{name}: {answer} (asked for Paris, Zürich" for name in doors
    ]
    assert desk.answered() == [(door, "tools/caller") for door in doors.values() for _ in range(2)]
    results = [str(body) for body in desk.provider.requests[1::2]]
    assert all("2 sunny day(s) in Paris" in body and "1 sunny day(s) in Zürich" in body for body in results)
    assert all(f"'{signature}'" in results[-1] for signature in SIGNATURES.get(dialect, ()))
