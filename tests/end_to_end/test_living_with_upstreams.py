"""Limits, refusals, slow beginnings and warm caches of providers, through the public door."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import WORDS, ScriptedProvider, answer_after, answer_with, refuse

pytestmark = pytest.mark.slow

MESSAGES: Any = [{"role": "user", "content": "What is 17 * 23?"}]
LONG_TALK: Any = [{"role": "user", "content": "Read this. " + "All work and no play. " * 900}]


def server(provider_id: str, base_url: str, input_rate: str, **others: Any) -> dict[str, Any]:
    served = {
        "upstream_model": "llama",
        "vendor_model": "meta/llama",
        "input_usd_per_mtok": input_rate,
        "output_usd_per_mtok": "1",
    }
    model = {**served, "context_tokens": 32_000, "trained_name": "llama-3.1-8b-instruct"}
    return {"id": provider_id, "base_url": base_url, "models": [model], **others}


@pytest.fixture
def first() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def second() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@contextmanager
def two_servers(
    folder: Path,
    first: ScriptedProvider,
    second: ScriptedProvider,
    limits: dict[str, Any] | None = None,
    **settings: Any,
) -> Iterator[GatewayThread]:
    """The first one is the cheaper, so it is asked first."""
    servers = [server("first", first.base_url, "0.5", **limits or {}), server("second", second.base_url, "5")]
    with GatewayThread(folder, servers=servers, **settings) as running:
        yield running


@contextmanager
def openai_account(folder: Path, provider: ScriptedProvider, fallback: ScriptedProvider) -> Iterator[GatewayThread]:
    """Two models on an OpenAI key, and a dear server of one's own."""
    mine = [
        {
            "upstream_model": name,
            "vendor_model": f"mine/{name}",
            "input_usd_per_mtok": rate,
            "output_usd_per_mtok": rate,
        }
        for name, rate in (("small", "0.1"), ("large", "0.2"))
    ]
    providers = {
        "openai": {"base_url": provider.base_url, "models": [{**model, "context_tokens": 32_000} for model in mine]}
    }
    servers = [server("own", fallback.base_url, "90")]
    with GatewayThread(folder, {"OPENAI_API_KEY": "sk-a-key"}, providers=providers, servers=servers) as running:
        yield running


def ask(gateway: GatewayThread, **fields: Any) -> httpx.Response:
    body = {"model": "smart-route", "messages": MESSAGES, **fields}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, timeout=30)


def candidate(response: httpx.Response, lane_id: str) -> dict[str, Any]:
    candidate: dict[str, Any] = next(one for one in response.json()["llmdeal"]["candidates"] if one["lane"] == lane_id)
    return candidate


def metric(gateway: GatewayThread, name: str, lane_id: str) -> float | None:
    lines = httpx.get(f"{gateway.url}/metrics").text.splitlines()
    reported = next((line for line in lines if line.startswith(f'{name}{{lane="{lane_id}"}}')), None)
    return None if reported is None else float(reported.rpartition(" ")[2])


def test_a_lane_whose_known_token_limit_is_used_up_is_not_asked(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    with two_servers(tmp_path, first, second, {"tokens_per_minute": 400}) as gateway:
        lanes = [ask(gateway, max_tokens=300).headers["x-llmdeal-lane"]]
        first.script = [answer_with(prompt_tokens=200, completion_tokens=190)]
        lanes += [ask(gateway, max_tokens=300).headers["x-llmdeal-lane"]]
        explained = ask(gateway, max_tokens=300, route={"explain": True})
        assert lanes == ["first/llama", "first/llama"]
        assert explained.headers["x-llmdeal-lane"] == "second/llama"
        assert candidate(explained, "first/llama")["excluded_by"] == "rate_limit"
        assert candidate(explained, "first/llama")["now"]["tokens_left"] < 30
        assert metric(gateway, "llmdeal_lane_tokens_left", "first/llama") < 30  # type: ignore[operator]
        assert metric(gateway, "llmdeal_lane_tokens_left", "second/llama") is None
        assert len(first.requests) == 2


def test_what_a_providers_headers_say_is_left_is_kept_to(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    reported = {
        "anthropic-ratelimit-tokens-limit": "40000",
        "anthropic-ratelimit-tokens-remaining": "3",
        "anthropic-ratelimit-tokens-reset": "2999-01-01T00:00:00Z",
    }
    first.script = [answer_with(reported)]
    with two_servers(tmp_path, first, second) as gateway:
        answer = ask(gateway)
        assert answer.headers["x-ratelimit-remaining-tokens"] == "3"
        assert answer.headers["x-ratelimit-limit-tokens"] == "40000"
        assert ask(gateway).headers["x-llmdeal-lane"] == "second/llama"
        pinned = ask(gateway, model="first:meta/llama")
        assert pinned.status_code == 503
        assert pinned.json()["error"]["code"] == "all_lanes_cooling"
        assert int(pinned.headers["retry-after"]) >= 1
        assert len(first.requests) == 1


def test_a_request_limit_that_the_headers_say_is_used_up_rests_the_account(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.script = [
        answer_with(
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-limit-requests": "60",
            }
        )
    ]
    with two_servers(tmp_path, first, second) as gateway:
        assert [ask(gateway).headers["x-llmdeal-lane"] for _ in range(2)] == ["first/llama", "second/llama"]


def test_a_limit_of_one_model_leaves_the_accounts_other_models_alone(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.script = [refuse(429, headers={"retry-after": "60"})]
    with openai_account(tmp_path, first, second) as gateway:
        wanted = {"model": "mine/small", "models": ["mine/large", "meta/llama"]}
        lanes = [ask(gateway, **wanted).headers["x-llmdeal-lane"] for _ in range(2)]
        assert lanes == ["openai/large", "openai/large"]
        assert metric(gateway, "llmdeal_lane_rest_seconds", "openai/small") > 50  # type: ignore[operator]
        assert metric(gateway, "llmdeal_lane_rest_seconds", "openai/large") == 0


def test_an_account_without_credit_rests_as_a_whole_though_the_status_is_that_of_a_limit(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.script = [refuse(429, "You exceeded your current quota", code="insufficient_quota")]
    with openai_account(tmp_path, first, second) as gateway:
        wanted = {"model": "mine/small", "models": ["mine/large", "meta/llama"]}
        answer = ask(gateway, **wanted)
        assert (answer.headers["x-llmdeal-lane"], answer.headers["x-llmdeal-reason"]) == ("own/llama", "fallback_error")
        assert [row.error_code for row in gateway.attempts()] == ["no_credit", None]
        assert len(first.requests) == 1


def test_a_parameter_that_a_model_refuses_is_tried_on_the_next_lane_and_remembered(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.script = [refuse(400, "Unsupported parameter: 'temperature' is not supported with this model.")]
    with two_servers(tmp_path, first, second) as gateway:
        lanes = [ask(gateway, temperature=0.2).headers["x-llmdeal-lane"] for _ in range(2)]
        assert lanes == ["second/llama", "second/llama"]
        assert len(first.requests) == 1
        assert ask(gateway).headers["x-llmdeal-lane"] == "first/llama"
        metrics = httpx.get(f"{gateway.url}/metrics").text
        assert 'llmdeal_refused_parameter_seconds{model="llama",parameter="temperature",provider="first"}' in metrics


def test_a_parameter_that_all_lanes_refuse_is_the_callers_error(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    for provider in (first, second):
        provider.script = [refuse(400, "Unsupported parameter: 'seed'"), refuse(400, "Unsupported parameter: 'seed'")]
    with two_servers(tmp_path, first, second) as gateway:
        for _ in range(2):
            answer = ask(gateway, seed=7)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "seed")
            assert "Unsupported parameter" in answer.json()["error"]["message"]


def test_a_wrong_provider_key_says_so_to_the_caller_in_the_log_and_on_the_page_of_keys(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    first.script = [refuse(401, "Incorrect API key provided")]
    with openai_account(tmp_path, first, second) as gateway:
        error = ask(gateway, model="mine/small").json()["error"]
        assert "the provider refuses its key" in error["message"]
        assert error["attempts"][0]["code"] == "provider_key_refused"
        assert "the provider key of openai (account default) was refused: Incorrect API key" in caplog.text
        page = httpx.get(f"{gateway.url}/keys").text
        assert "was refused at" in page
        assert "Incorrect API key provided" in page


def test_a_key_that_answers_again_is_no_longer_shown_as_refused(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.script = [refuse(402, "pay first"), refuse(500)]
    with openai_account(tmp_path, first, second) as gateway:
        ask(gateway, model="mine/small")
        keys = gateway.resources.refused_keys
        (refused,) = keys.of("default")
        assert (refused.name, refused.code) == ("openai", "provider_key_refused")
        keys.forget("default", gateway.resources.directory.table.lanes[0])
        assert keys.of("default") == []


def test_a_stream_that_is_slow_to_begin_is_raced_by_the_next_lane(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.script = [first.stall]
    with two_servers(tmp_path, first, second, slow_start="race", slow_start_after_s=0.05) as gateway:
        answer = ask(gateway, stream=True)
        assert "".join(WORDS[:1]) in answer.text
        assert answer.headers["x-llmdeal-lane"] == "second/llama"
        assert answer.headers["x-llmdeal-reason"] == "fallback_slow"
        assert answer.headers["x-llmdeal-attempts"] == "2"
        assert first.hang_ended.wait(5), "the slow provider was not told to stop"
        rows = sorted(gateway.attempts(), key=lambda row: row.attempt)
        assert [(row.lane_id, row.outcome) for row in rows] == [("first/llama", "superseded"), ("second/llama", "ok")]
        assert rows[0].usage_is_estimated
        assert (rows[0].cost_nusd or 0) > 0  # the provider may have worked on the prompt


def test_in_a_race_the_slow_lane_may_still_win(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.script, second.script = [answer_after(second.was_asked)], [second.stall]
    with two_servers(tmp_path, first, second, slow_start="race", slow_start_after_s=0.05) as gateway:
        answer = ask(gateway, stream=True)
        assert answer.headers["x-llmdeal-lane"] == "first/llama"
        assert answer.headers["x-llmdeal-reason"] == "best_quality_per_dollar"
        assert {row.lane_id: row.outcome for row in gateway.attempts()} == {
            "first/llama": "ok",
            "second/llama": "superseded",
        }


def test_a_slow_lane_may_be_given_up_instead(tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider) -> None:
    first.script = [first.stall]
    with two_servers(tmp_path, first, second, slow_start="fall_back", slow_start_after_s=0.05) as gateway:
        assert ask(gateway, stream=True).headers["x-llmdeal-reason"] == "fallback_slow"
        assert first.hang_ended.wait(5)
        assert {row.lane_id: row.outcome for row in gateway.attempts()} == {
            "first/llama": "superseded",
            "second/llama": "ok",
        }


def test_a_race_in_which_every_lane_fails_lists_them(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.script, second.script = [refuse(500)], [refuse(500)]
    with two_servers(tmp_path, first, second, slow_start="race", slow_start_after_s=5.0) as gateway:
        answer = ask(gateway, stream=True)
        assert answer.status_code == 502
        assert "first/llama" in answer.text
        assert "second/llama" in answer.text


def test_a_request_that_is_wrong_ends_the_race(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.script, second.script = [first.stall], [refuse(400, "no such tool")]
    with two_servers(tmp_path, first, second, slow_start="race", slow_start_after_s=0.05) as gateway:
        answer = ask(gateway, stream=True)
        assert answer.status_code == 400
        assert "no such tool" in answer.text
        assert first.hang_ended.wait(5)


def test_a_conversation_stays_with_the_lane_whose_prompt_cache_is_warm(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    """The other lane is a little cheaper, until the prompt cache of gpt-4o-mini's holds the conversation."""
    providers = {"openai": {"base_url": first.base_url}}
    other = server("other", second.base_url, "0.13")
    other["models"][0] |= {"trained_name": "gpt-4o-mini-2024-07-18", "output_usd_per_mtok": "0.6"}
    first.script = [answer_with(prompt_tokens=5_000, completion_tokens=5)]
    with GatewayThread(tmp_path, {"OPENAI_API_KEY": "sk-a-key"}, providers=providers, servers=[other]) as gateway:
        wanted = {
            "messages": LONG_TALK,
            "models": ["openai/gpt-4o-mini", "meta/llama"],
            "max_tokens": 16,
            "route": {"explain": True},
        }
        assert ask(gateway, **wanted).headers["x-llmdeal-lane"] == "other/llama"
        assert (
            ask(gateway, model="openai/gpt-4o-mini", messages=LONG_TALK).headers["x-llmdeal-lane"]
            == "openai/gpt-4o-mini"
        )
        after = ask(gateway, **wanted)
        assert candidate(after, "openai/gpt-4o-mini")["cache_discount_usd"] > 0
        assert (after.headers["x-llmdeal-lane"], after.headers["x-llmdeal-reason"]) == (
            "openai/gpt-4o-mini",
            "affinity",
        )
        assert (
            ask(gateway, **{**wanted, "messages": [*MESSAGES, *LONG_TALK]}).headers["x-llmdeal-lane"] == "other/llama"
        )
