"""Models that a provider answers by Responses alone: callers of every dialect reach them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider, recorded

pytestmark = pytest.mark.slow

KEY = {"OPENAI_API_KEY": "sk-test"}
LANE = "openai/gpt-5.3-codex"
QUESTION: Any = [{"role": "user", "content": "What is the weather in Paris and in Zürich?"}]
CHAT_TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
DOORS: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": QUESTION, "tools": [CHAT_TOOL], "max_tokens": 500},
    "messages": {"messages": QUESTION, "tools": [{"name": "weather", "input_schema": {}}], "max_tokens": 500},
}


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def gateway(provider: ScriptedProvider, tmp_path: Path) -> Iterator[GatewayThread]:
    with GatewayThread(tmp_path, KEY, providers={"openai": {"base_url": provider.base_url}}) as running:
        yield running


@pytest.mark.parametrize("kind", ["json", "sse"])
@pytest.mark.parametrize("door", DOORS)
def test_callers_of_other_dialects_reach_a_model_of_responses_alone(
    gateway: GatewayThread, provider: ScriptedProvider, door: str, kind: str
) -> None:
    provider.script = [recorded(f"responses/thinking-and-tools.{kind}")]
    body = {"model": LANE, "stream": kind == "sse", **DOORS[door]}
    answer = httpx.post(f"{gateway.url}/v1/{door}", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    assert "I look" in answer.text
    assert "call_paris" in answer.text
    [sent] = provider.requests
    assert sent["model"] == "gpt-5.3-codex"
    assert sent["store"] is False
    assert sent["max_output_tokens"] == 500
    assert [tool["name"] for tool in sent["tools"]] == ["weather"]
    assert sent["input"][0]["content"] == [{"type": "input_text", "text": QUESTION[0]["content"]}]
    [row] = gateway.attempts()
    assert (row.lane_id, row.reasoning_tokens, row.completion_tokens) == (LANE, 20, 89)


def test_such_models_are_lanes_by_rule(gateway: GatewayThread) -> None:
    listed = json.dumps(httpx.get(f"{gateway.url}/v1/models").json())
    assert all(f"openai/{name}" in listed for name in ("gpt-5-pro", "gpt-5.3-codex", "o3-pro"))
    assert "deep-research" not in listed
