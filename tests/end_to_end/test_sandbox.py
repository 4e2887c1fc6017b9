"""The first minute: no key, no account, the whole product."""

import json
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import openai
import pytest
from fakes.gateway_thread import GatewayThread

from serve.packaged_files import models_dir

pytestmark = pytest.mark.slow

EASY = "Janet has 3 apples and buys 4 more bags with 5 apples each. How many apples does she have now?"
HARD = "Find the number of ordered pairs (a, b) of complex numbers such that a^3 b^5 = a^7 b^2 = 1."


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    with GatewayThread(folder, sandbox="auto", sandbox_pace=0.0) as running:
        yield running


@pytest.fixture(scope="module")
def client(gateway: GatewayThread) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_without_any_provider_key_the_sandbox_answers_and_says_that_it_is_one(
    client: openai.OpenAI, gateway: GatewayThread
) -> None:
    answer = client.chat.completions.create(model="smart-route", messages=[{"role": "user", "content": EASY}])
    assert "simulated" in (answer.choices[0].message.content or "")
    assert answer.model.startswith("sandbox/")
    assert any("OPENAI_API_KEY" in notice for notice in gateway.resources.notices)


def test_an_easy_prompt_and_a_hard_one_take_different_lanes_because_of_what_is_predicted(client: openai.OpenAI) -> None:
    lanes, best_quality = [], []
    for prompt in (EASY, HARD):
        raw = client.chat.completions.with_raw_response.create(
            model="smart-route", messages=[{"role": "user", "content": prompt}], extra_body={"route": {"explain": True}}
        )
        lanes.append(raw.headers["x-llmdeal-lane"])
        why = raw.parse().model_dump()["llmdeal"]
        assert all(candidate["quality_basis"] == "trained" for candidate in why["candidates"])
        best_quality.append({candidate["lane"]: candidate["quality"] for candidate in why["candidates"]})
    assert lanes[0] != lanes[1]
    easy, hard = best_quality
    assert easy["sandbox/small"] > hard["sandbox/small"]
    assert hard[lanes[1]] - hard[lanes[0]] > easy[lanes[1]] - easy[lanes[0]]


def test_a_lower_share_of_the_best_is_cheaper_and_gives_less(client: openai.OpenAI) -> None:
    expected = []
    for share in (0.5, 0.8, 0.95, 1.0):
        total_usd = quality = 0.0
        for prompt in (EASY, HARD):
            answer = client.chat.completions.create(
                model="smart-route",
                messages=[{"role": "user", "content": prompt}],
                extra_body={"route": {"quality_of_best": share, "explain": True}},
            )
            why = answer.model_dump()["llmdeal"]
            assert why["policy"] == "near_best"
            (chosen,) = [candidate for candidate in why["candidates"] if candidate["lane"] == why["chosen"]]
            total_usd, quality = total_usd + chosen["cost_usd"], quality + chosen["quality"]
        expected.append((total_usd, quality))
    assert expected == sorted(expected)
    assert expected[0][0] < expected[-1][0]


def test_a_stream_of_the_sandbox_costs_what_the_whole_answer_costs(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": EASY}]
    whole = client.chat.completions.create(model="sandbox/large", messages=messages)
    chunks = list(client.chat.completions.create(model="sandbox/large", messages=messages, stream=True))
    assert whole.usage is not None
    assert chunks[-1].usage.model_dump()["cost"] == whole.usage.model_dump()["cost"]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content


def test_a_token_limit_cuts_the_simulated_answer_too(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="smart-route", messages=[{"role": "user", "content": EASY}], max_tokens=5
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


def test_a_quality_model_that_fails_costs_the_choice_and_not_the_answer(tmp_path: Path) -> None:
    broken = Path(shutil.copytree(models_dir() / "llmdeal-base-2", tmp_path / "broken"))
    definition = json.loads((broken / "tokenizer.json").read_text())
    definition["model"]["vocab"]["hello"] = 999_999  # beyond the table: the graph fails on it
    (broken / "tokenizer.json").write_text(json.dumps(definition))
    manifest = json.loads((broken / "manifest.json").read_text())
    manifest["files"]["tokenizer.json"] = sha256((broken / "tokenizer.json").read_bytes()).hexdigest()
    (broken / "manifest.json").write_text(json.dumps(manifest))
    with (
        GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0, bundle=str(broken)) as running,
        openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as client,
    ):
        raw = client.chat.completions.with_raw_response.create(
            model="smart-route", messages=[{"role": "user", "content": "hello"}]
        )
        assert raw.headers["x-llmdeal-reason"] == "router_unavailable"
        assert raw.headers["x-llmdeal-lane"] == "sandbox/small"
