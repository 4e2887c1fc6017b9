"""Two real language models on this machine, the gateway in front of them, and the official SDK as the client."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from fakes.gateway_thread import GatewayThread

from serve.jobs.local_models.model_files import GEMMA3, LOCAL_MODELS, SMOLLM2, LocalModel
from serve.jobs.local_models.processes import LocalModelProcess, start_all
from serve.settings import ServerSettings

# One worker keeps both servers, where xdist heeds groups; where it does not, each worker starts its own on free ports.
pytestmark = [pytest.mark.real, pytest.mark.slow]

FRANCE: Any = [{"role": "user", "content": "What is the capital of France?"}]
SMOL, GEMMA = (f"{model.server_id}/{model.name}" for model in (SMOLLM2, GEMMA3))
TOOL: Any = {
    "type": "function",
    "function": {"name": "look_up", "description": "Looks up.", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture(scope="module")
def models() -> Iterator[list[LocalModelProcess]]:
    with contextlib.ExitStack() as stack:
        yield start_all(LOCAL_MODELS, stack)


@pytest.fixture(scope="module")
def gateway(models: list[LocalModelProcess], tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    smol, gemma = (model.as_settings() for model in models)
    # One is asked in the caller's own dialect, the other by translation.
    servers = [smol, gemma.model_copy(update={"also_speaks": ("anthropic", "responses")})]
    with GatewayThread(tmp_path_factory.mktemp("real"), servers=servers, willingness_to_pay_usd=0.0001) as running:
        yield running


def sdk(gateway: GatewayThread) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0, timeout=60)


@pytest.fixture(scope="module")
def client(gateway: GatewayThread) -> Iterator[openai.OpenAI]:
    with sdk(gateway) as client:
        yield client


def test_a_real_model_answers_and_the_answer_says_what_it_cost(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=GEMMA3.vendor_model, messages=FRANCE, max_tokens=12, temperature=0
    )
    answer = raw.parse()
    assert "Paris" in (answer.choices[0].message.content or "")
    assert raw.headers["x-llmdeal-lane"] == GEMMA
    assert raw.headers["x-llmdeal-reason"] == "pinned"
    assert answer.usage is not None
    cost = answer.usage.model_dump()["cost"]
    assert cost == float(raw.headers["x-llmdeal-cost-usd"]) > 0


def test_smart_route_chooses_between_real_models_and_says_why(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="smart-route", messages=FRANCE, max_tokens=8, temperature=0, extra_body={"route": {"explain": True}}
    )
    why = answer.model_dump()["llmdeal"]
    assert {candidate["lane"] for candidate in why["candidates"]} == {SMOL, GEMMA}
    assert all(candidate["quality_basis"] == "prior" for candidate in why["candidates"])
    assert why["chosen"] in (SMOL, GEMMA)


@pytest.mark.parametrize("model", LOCAL_MODELS, ids=lambda model: model.name)
def test_a_stream_arrives_in_pieces_and_ends_with_usage_and_cost(model: LocalModel, client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=model.vendor_model, messages=FRANCE, max_tokens=8, stream=True, temperature=0
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.strip()
    assert len(chunks) >= 3
    assert chunks[-1].usage is not None
    usage = chunks[-1].usage.model_dump()
    assert usage["completion_tokens"] >= 2
    assert usage["cost"] > 0


def test_the_async_client_streams_from_both_at_once(gateway: GatewayThread) -> None:
    async def text_of(client: openai.AsyncOpenAI, name: str) -> str:
        stream = await client.chat.completions.create(
            model=name, messages=FRANCE, max_tokens=8, stream=True, temperature=0
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    async def both() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{gateway.url}/v1", api_key="none", max_retries=0, timeout=60
        ) as client:
            return await asyncio.gather(*(text_of(client, model.vendor_model) for model in LOCAL_MODELS))

    assert all(text.strip() for text in asyncio.run(both()))


@pytest.mark.parametrize("model", LOCAL_MODELS, ids=lambda model: model.name)
def test_a_json_schema_is_kept_to(model: LocalModel, client: openai.OpenAI) -> None:
    schema: Any = {
        "type": "object",
        "properties": {"age": {"type": "integer"}},
        "required": ["age"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=model.vendor_model,
        messages=[{"role": "user", "content": "Ann is 34 years old. Her age as JSON:"}],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}},
        max_tokens=150,
        temperature=0,
    )
    person = json.loads(answer.choices[0].message.content or "")
    assert list(person) == ["age"]
    assert isinstance(person["age"], int)


def test_tools_are_refused_by_lane_and_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(model="smart-route", messages=FRANCE, tools=[TOOL])
    assert refused.value.status_code == 400
    for text in (SMOL, GEMMA, "tools"):
        assert text in refused.value.message


def test_a_lane_killed_in_mid_stream_is_reported_in_the_stream_and_logged(tmp_path: Path) -> None:
    with (
        LocalModelProcess.start(SMOLLM2) as model,
        GatewayThread(tmp_path, servers=[model.as_settings()]) as gateway,
        sdk(gateway) as client,
        client.chat.completions.with_streaming_response.create(
            model="smart-route", messages=FRANCE, max_tokens=3_000, stream=True, extra_body={"ignore_eos": True}
        ) as response,
    ):
        # Line by line: the SDK's own iterator raises at the error and would hide the finish reason beside it.
        lines = (line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: {"))
        assert all("error" not in json.loads(next(lines)) for _ in range(4))
        model.kill()
        last = [json.loads(line) for line in lines][-1]
        assert "stream broke before its end" in last["error"]["message"]
        assert last["choices"][0]["finish_reason"] == "error"
        (row,) = gateway.attempts()
        assert row.outcome == "broken_stream"
        assert row.usage_is_estimated
        assert row.cost_nusd


def test_a_lane_that_is_down_from_the_start_is_passed_over(models: list[LocalModelProcess], tmp_path: Path) -> None:
    present, gemma = (model.as_settings() for model in models)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # bound and not listening: refuses, and nobody else can take the port meanwhile
        absent = ServerSettings.model_validate(
            gemma.model_dump() | {"base_url": f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"}
        )
        with GatewayThread(tmp_path, servers=[absent, present]) as gateway, sdk(gateway) as client:
            raw = client.chat.completions.with_raw_response.create(
                model="smart-route", messages=FRANCE, max_tokens=8, temperature=0
            )
            assert raw.headers["x-llmdeal-lane"] == SMOL
            assert raw.headers["x-llmdeal-reason"] == "fallback_error"
            assert (
                raw.headers["x-llmdeal-attempts"] == "3"
            )  # a connection that fails is tried once more before the next lane
            assert [row.outcome for row in gateway.attempts()] == ["connect_error", "connect_error", "ok"]


@pytest.mark.parametrize("lane", [SMOL, GEMMA])
def test_anthropics_sdk_talks_to_real_models_with_and_without_translation(gateway: GatewayThread, lane: str) -> None:
    with anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0, timeout=60) as client:
        whole = client.messages.create(model=lane, max_tokens=12, messages=FRANCE, extra_body={"temperature": 0})
        with client.messages.stream(
            model=lane, max_tokens=12, messages=FRANCE, extra_body={"temperature": 0}
        ) as stream:
            text = "".join(stream.text_stream)
            streamed = stream.get_final_message()
        counted = client.messages.with_raw_response.count_tokens(model=lane, messages=FRANCE)
    assert whole.content[0].type == "text"
    assert whole.content[0].text
    assert text
    assert whole.usage.model_dump()["cost"] >= 0
    assert (streamed.usage.output_tokens or 0) > 0
    assert counted.headers["x-llmdeal-token-count"] == ("exact" if lane == GEMMA else "estimated")
    assert counted.parse().input_tokens > 5


@pytest.mark.parametrize("lane", [SMOL, GEMMA])
def test_responses_come_from_real_models_with_and_without_translation(client: openai.OpenAI, lane: str) -> None:
    whole = client.responses.create(
        model=lane, input="What is the capital of France?", max_output_tokens=12, temperature=0
    )
    assert whole.output_text
    events = list(
        client.responses.create(
            model=lane, input="What is the capital of France?", max_output_tokens=12, temperature=0, stream=True
        )
    )
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1]
    assert last.type in ("response.completed", "response.incomplete")
    assert last.response.usage is not None
    assert last.response.usage.output_tokens > 0
