"""What a caller may write as `model`, and what is said to one who misspells it."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider

from serve.settings import ProviderSettings

pytestmark = pytest.mark.slow

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    folder: Path = tmp_path_factory.mktemp("names")
    with GatewayThread(folder, sandbox="on", sandbox_pace=0.0) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "more"), [("/v1/chat/completions", {}), ("/v1/messages", {"max_tokens": 5}), ("/v1/responses", {})]
)
def test_a_misspelt_model_gets_close_names_in_the_callers_dialect(
    path: str, more: dict[str, object], gateway: GatewayThread
) -> None:
    field = "input" if path == "/v1/responses" else "messages"
    refused = httpx.post(f"{gateway.url}{path}", json={"model": "sandbox/smal", field: MESSAGES, **more})
    assert refused.status_code == 404
    error = refused.json()["error"]
    assert "No lane is called 'sandbox/smal'. Did you mean 'sandbox/small'" in error["message"]
    assert error.get("code", "model_not_found") == "model_not_found"
    assert (refused.json().get("type") == "error") == (path == "/v1/messages")


def test_a_name_like_no_other_gets_the_forms_of_names(gateway: GatewayThread) -> None:
    refused = httpx.post(f"{gateway.url}/v1/chat/completions", json={"model": "zzz" * 90, "messages": MESSAGES})
    message = refused.json()["error"]["message"]
    assert "Use 'smart-route', 'vendor/model' or 'provider:vendor/model'." in message
    assert len(message) < 300


def toml_of(provider: ScriptedProvider, **more: str) -> dict[str, object]:
    return {"providers": {"openai": {"key": "sk-test-1", "base_url": provider.base_url, **more}}}


def ask(gateway: GatewayThread, model: str, **more: object) -> httpx.Response:
    return httpx.post(f"{gateway.url}/v1/chat/completions", json={"model": model, "messages": MESSAGES, **more})


def test_a_dated_name_is_answered_by_the_lane_of_its_model(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, GatewayThread(tmp_path, **toml_of(provider)) as gateway:
        answer = ask(gateway, "openai/gpt-5-mini-2025-08-07")
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-llmdeal-lane"] == "openai/gpt-5-mini"
        assert answer.headers["x-llmdeal-model"] == "openai/gpt-5-mini"
        [attempt] = gateway.attempts()
        table = gateway.resources.routing.directory.table
        price = table.lanes[table.index_of["openai/gpt-5-mini"]].price
        assert attempt.cost_nusd == 1_000 * (11 * price.input_usd_per_mtok + 7 * price.output_usd_per_mtok)
        assert attempt.candidates is not None
        assert attempt.candidates.lane_ids == ("openai/gpt-5-mini",), "the 50 others say nothing of this request"


def test_a_request_without_a_name_is_decided_among_the_choosable_lanes_only(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, GatewayThread(tmp_path, **toml_of(provider)) as gateway:
        why = ask(gateway, "smart-route", route={"explain": True}).json()["llmdeal"]
        directory = gateway.resources.routing.directory
        assert [each["lane"] for each in why["candidates"]] == list(directory.choosable.lane_ids)
        assert len(directory.choosable) < len(directory.table)
        [attempt] = gateway.attempts()
        assert attempt.candidates is not None
        assert attempt.candidates.lane_ids == directory.choosable.lane_ids


def test_an_unlisted_model_is_asked_at_the_price_that_the_operator_assumes(tmp_path: Path) -> None:
    rates = {"unlisted_input_usd_per_mtok": "15", "unlisted_output_usd_per_mtok": "75"}
    with ScriptedProvider() as provider, GatewayThread(tmp_path, **toml_of(provider, **rates)) as gateway:
        n_lanes = len(gateway.resources.routing.directory.table)
        for name in ("openai/gpt-9-foo", "openai:gpt-9-foo", "gpt-9-foo"):
            answer = ask(gateway, name)
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-llmdeal-lane"] == "openai/gpt-9-foo"
        table = gateway.resources.routing.directory.table
        assert len(table) == n_lanes + 1
        assert table.lanes[-1].price.source == "assumed by the operator for unlisted models"
        assert {attempt.cost_nusd for attempt in gateway.attempts()} == {11 * 15_000 + 7 * 75_000}
        assert ask(gateway, "openai/gpt-9-foo:high").status_code == 404
        assert ask(gateway, "openai:gpt-5.4:max").status_code == 404
        assert ask(gateway, "smart-route").status_code == 200
        assert ask(gateway, "openai/gpt-9-bar:floor", models=["openai/gpt-9-baz"]).status_code == 200
        assert len(gateway.resources.routing.directory.table) == n_lanes + 3


def test_callers_cannot_make_lanes_without_end(tmp_path: Path) -> None:
    rates = {"unlisted_input_usd_per_mtok": "15", "unlisted_output_usd_per_mtok": "75"}
    with ScriptedProvider() as provider, GatewayThread(tmp_path, **toml_of(provider, **rates)) as gateway:
        statuses = [ask(gateway, f"openai/new-{number}").status_code for number in range(102)]
        assert statuses == [200] * 100 + [404] * 2
        refused = ask(gateway, f"openai/{'x' * 200}")
        assert refused.status_code == 404


def test_an_unlisted_model_without_a_price_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, GatewayThread(tmp_path, **toml_of(provider)) as gateway:
        refused = ask(gateway, "openai/gpt-9-foo")
        assert refused.status_code == 404
        message = refused.json()["error"]["message"]
        assert "[[providers.openai.models]]" in message
        assert "unlisted_input_usd_per_mtok" in message
        elsewhere = ask(gateway, "mistral/new-1").json()["error"]["message"]
        assert "providers.mistral" not in elsewhere


def test_half_a_price_of_unlisted_models_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="Set both"):
        ProviderSettings.model_validate({"unlisted_input_usd_per_mtok": "1"})


def test_models_are_listed_with_those_first_that_smart_route_may_choose(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, GatewayThread(tmp_path, **toml_of(provider)) as gateway:
        models = httpx.get(f"{gateway.url}/v1/models").json()["data"]
        n_choosable = len(gateway.resources.routing.directory.choosable)
        smart_route, listed = models[0], [model for model in models[1:] if model["lanes"][0]["capabilities"]]
        assert len(smart_route["lanes"]) == n_choosable
        is_chosen = [any(lane["smart_route"] for lane in model["lanes"]) for model in listed]
        assert is_chosen == sorted(is_chosen, reverse=True)
        assert {lane["id"] for model in listed for lane in model["lanes"] if lane["smart_route"]} == set(
            smart_route["lanes"]
        )
        by_name = {model["id"]: model for model in models}
        assert by_name["openai/gpt-5-mini"]["lanes"][0]["deprecated_on"] == "2026-12-11"
        wanted = {"provider": "openai", "search": "GPT-5-m"}
        matching = httpx.get(f"{gateway.url}/v1/models", params=wanted).json()["data"]
        assert [model["id"] for model in matching] == ["smart-route", "openai/gpt-5-mini"]
        nothing = httpx.get(f"{gateway.url}/v1/models", params={"provider": "groq"}).json()["data"]
        assert [model["id"] for model in nothing] == ["smart-route"]


def test_the_page_of_lanes_shows_the_choosable_ones_and_finds_the_others(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, GatewayThread(tmp_path, **toml_of(provider)) as gateway:

        def shown(**wanted: str) -> list[str]:
            page = httpx.get(f"{gateway.url}/lanes", params=wanted).text
            return re.findall(r"<code>(openai/[^<]+)</code></a>", page)

        directory = gateway.resources.routing.directory
        vectors = set(gateway.resources.vectors.directory.table.lane_ids)
        assert set(shown()) - vectors == set(directory.choosable.lane_ids)
        assert set(shown(all="1")) - vectors == set(directory.table.lane_ids)
        assert shown(q="gpt-5-mini") == ["openai/gpt-5-mini"]
        assert shown(provider="groq") == []


def test_gauges_are_given_of_choosable_lanes_and_of_those_that_were_asked(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, GatewayThread(tmp_path, **toml_of(provider)) as gateway:

        def gauged() -> set[str]:
            text = httpx.get(f"{gateway.url}/metrics").text
            return set(re.findall(r'llmdeal_lane_ttft_seconds\{lane="([^"]+)"', text))

        before = gauged()
        assert "openai/gpt-5.5" in before
        assert "openai/gpt-6-rosalind" not in before
        assert ask(gateway, "gpt-6-rosalind").status_code == 200
        # Speeds that were read a moment ago are given once more, so the first scrapes may still be without it.
        assert any("openai/gpt-6-rosalind" in gauged() for _ in range(100))
