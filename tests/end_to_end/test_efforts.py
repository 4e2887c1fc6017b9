"""Efforts of reasoning through the public doors: which lane answers, and the body that its provider gets."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.derived_bundle import derive_bundle
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import Behaviour, ScriptedProvider, answer, recorded, refuse
from typer.testing import CliRunner

from router.bundle import load_bundle
from serve.cli.main import build_command_line
from serve.identity.virtual_keys import issue_virtual_key

pytestmark = pytest.mark.slow

EASY = "Good morning! Say hello in one word."
HARD = (
    "Let p be an odd prime and let G be a group of order p^3 in which every element has order p. Prove that the "
    "number of subgroups of order p^2 is 1 or p + 1, and classify the non-abelian case up to isomorphism."
)
BELIEFS = {
    "maker/thinker": "llama-3.1-405b-instruct",
    "maker/thinker@none": "gpt-4o-mini-2024-07-18",
    "maker/thinker@high": "o1-preview-2024-09-12",
    "maker/thinker@max": "gpt-4o-2024-08-06",
}
"""Of the hard prompt, `high` answers far more than `none` does. Of the easy one, it answers little more."""
SERVED = {
    "upstream_model": "thinker-1",
    "vendor_model": "maker/thinker",
    "input_usd_per_mtok": "1",
    "output_usd_per_mtok": "4",
    "context_tokens": 200_000,
    "capabilities": ["reasoning", "tools"],
    "efforts": ["none", "low", "high"],
}
Lab = tuple[GatewayThread, ScriptedProvider]
DEFAULT, NONE, HIGH = "lab/thinker-1", "lab/thinker-1:none", "lab/thinker-1:high"


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return derive_bundle(tmp_path_factory.mktemp("bundles") / "efforts", adds=BELIEFS)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Lab]:
    """A gateway that many tests ask, and its provider."""
    with (
        ScriptedProvider() as provider,
        gateway_of(tmp_path_factory.mktemp("lab"), bundle, provider) as gateway,
    ):
        yield gateway, provider


@contextmanager
def gateway_of(folder: Path, bundle: Path, provider: ScriptedProvider, **settings: Any) -> Iterator[GatewayThread]:
    servers = settings.pop("servers", [{"id": "lab", "base_url": provider.base_url, "models": [SERVED]}])
    with GatewayThread(folder, bundle=str(bundle), servers=servers, **settings) as running:
        yield running


def ask(gateway: GatewayThread, prompt: str = HARD, path: str = "chat/completions", **fields: Any) -> httpx.Response:
    body = {"model": "smart-route", "messages": [{"role": "user", "content": prompt}], **fields}
    return httpx.post(f"{gateway.url}/v1/{path}", json=body, timeout=30)


def follow(gateway: GatewayThread) -> None:
    """Do now what the gateway does every second."""
    asyncio.run_coroutine_threadsafe(gateway.resources.bundles.refresh(), gateway._loop).result(20)


def excluded(decision: httpx.Response) -> dict[str, str | None]:
    return {one["lane"]: one["excluded_by"] for one in decision.json()["candidates"]}


def test_a_hard_prompt_gets_more_effort_than_an_easy_one(
    tmp_path: Path, bundle: Path, provider: ScriptedProvider
) -> None:
    with gateway_of(tmp_path, bundle, provider, willingness_to_pay_usd=0.0001) as gateway:
        answers = [ask(gateway, EASY), ask(gateway, HARD)]
        rows = gateway.attempts()
    assert [answer.headers["x-llmdeal-lane"] for answer in answers] == [NONE, HIGH]
    assert [answer.headers["x-llmdeal-model"] for answer in answers] == ["maker/thinker"] * 2
    assert [body.get("reasoning_effort") for body in provider.requests] == ["none", "high"]
    assert [body["model"] for body in provider.requests] == ["thinker-1"] * 2
    assert [(row.lane_id, row.vendor_model) for row in rows] == [(NONE, "maker/thinker"), (HIGH, "maker/thinker")]


def test_only_efforts_that_bundle_and_provider_both_know_have_a_lane(
    lab: Lab,
) -> None:
    candidates = ask(lab[0], path="route").json()["candidates"]
    assert [(one["lane"], one["effort"], one["model"]) for one in candidates] == [
        (DEFAULT, None, "maker/thinker"),
        (NONE, "none", "maker/thinker"),
        (HIGH, "high", "maker/thinker"),
    ]


def test_a_bundle_without_efforts_adds_no_lane(tmp_path: Path, provider: ScriptedProvider) -> None:
    servers = [{"id": "lab", "base_url": provider.base_url, "models": [SERVED]}]
    with GatewayThread(tmp_path, servers=servers) as gateway:
        assert ask(gateway).status_code == 200
        assert set(excluded(ask(gateway, path="route"))) == {DEFAULT}
    assert "reasoning_effort" not in provider.requests[0]


@pytest.mark.parametrize(
    ("fields", "lane", "sent"),
    [
        ({"reasoning_effort": "high"}, HIGH, {"reasoning_effort": "high"}),
        ({"reasoning_effort": "low"}, DEFAULT, {"reasoning_effort": "low"}),
        ({"reasoning": {"effort": "high"}}, HIGH, {"reasoning": {"effort": "high"}}),
        ({"reasoning": {"enabled": False}}, NONE, {"reasoning": {"enabled": False}}),
        ({"reasoning": {"max_tokens": 500}}, DEFAULT, {"reasoning": {"max_tokens": 500}}),
        ({"thinking": {"type": "enabled"}}, DEFAULT, {"thinking": {"type": "enabled"}}),
        ({"model": "maker/thinker", "reasoning_effort": "high"}, HIGH, {"reasoning_effort": "high"}),
        ({"model": "maker/thinker:high", "reasoning_effort": "high"}, HIGH, {"reasoning_effort": "high"}),
        ({"model": "maker/thinker"}, DEFAULT, {}),
        ({"model": "lab/thinker-1", "models": ["maker/thinker:none"]}, DEFAULT, {}),
        ({"model": "maker/thinker:high"}, HIGH, {"reasoning_effort": "high"}),
        ({"model": "thinker:none"}, NONE, {"reasoning_effort": "none"}),
        ({"model": "lab:maker/thinker:none"}, NONE, {"reasoning_effort": "none"}),
        ({"model": "lab/thinker-1:high"}, HIGH, {"reasoning_effort": "high"}),
        ({"model": "lab/thinker-1:high:floor"}, HIGH, {"reasoning_effort": "high"}),
        ({"models": ["maker/thinker"], "route": {"willingness_to_pay": 1}}, HIGH, {"reasoning_effort": "high"}),
        ({"models": ["maker/thinker:none"]}, NONE, {"reasoning_effort": "none"}),
        ({"route": {"efforts": []}}, DEFAULT, {}),
        ({"route": {"efforts": ["none"], "quality": 0.0}}, NONE, {"reasoning_effort": "none"}),
        ({"route": {"efforts": ["low", "high"], "willingness_to_pay": 1}}, HIGH, {"reasoning_effort": "high"}),
    ],
    ids=str,
)
def test_a_caller_says_which_effort_it_wants(lab: Lab, fields: dict[str, Any], lane: str, sent: dict[str, Any]) -> None:
    gateway, provider = lab
    answered = ask(gateway, **fields)
    assert answered.status_code == 200, answered.text
    assert answered.headers["x-llmdeal-lane"] == lane
    body = provider.requests[-1]
    reasoning = ("reasoning_effort", "reasoning", "thinking")
    assert {name: value for name, value in body.items() if name in reasoning} == sent


def test_belief_about_a_stated_effort_is_that_of_the_effort(
    lab: Lab,
) -> None:
    gateway, _ = lab
    free = {one["lane"]: one["quality"] for one in ask(gateway, path="route").json()["candidates"]}
    stated = ask(gateway, path="route", reasoning_effort="high")
    unknown = ask(gateway, path="route", reasoning_effort="low")
    assert excluded(stated) == {DEFAULT: "effort", NONE: "effort", HIGH: None}
    assert {one["lane"]: one["quality"] for one in stated.json()["candidates"]}[HIGH] == free[HIGH] > free[DEFAULT]
    assert excluded(unknown) == {DEFAULT: None, NONE: "effort", HIGH: "effort"}


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"model": "maker/thinker:high", "reasoning_effort": "low"}, 400, "reasons at the effort 'high'"),
        ({"model": "maker/thinker:low"}, 404, "knows nothing of 'maker/thinker' at the effort 'low'"),
        ({"route": {"efforts": ["much"]}}, 400, "route.efforts"),
    ],
    ids=str,
)
def test_an_effort_that_cannot_be_had_is_refused(lab: Lab, fields: dict[str, Any], status: int, words: str) -> None:
    gateway, provider = lab
    n_asked = len(provider.requests)
    refused = ask(gateway, **fields)
    assert refused.status_code == status
    error = refused.json()["error"]
    assert words in f"{error['message']} {error['param']}"
    assert len(provider.requests) == n_asked


def test_the_operator_limits_what_the_router_sets_and_not_what_a_caller_names(
    tmp_path: Path, bundle: Path, provider: ScriptedProvider
) -> None:
    wishes = {"efforts": ["none", "high"], "willingness_to_pay": 1}
    with gateway_of(tmp_path, bundle, provider, route_efforts="none") as gateway:
        assert excluded(ask(gateway, path="route", route=wishes)) == {DEFAULT: None, NONE: None, HIGH: "effort"}
        assert ask(gateway, model="maker/thinker:high").headers["x-llmdeal-lane"] == HIGH
        assert ask(gateway, reasoning_effort="high").headers["x-llmdeal-lane"] == HIGH


@pytest.mark.parametrize("refusal", [refuse(429, headers={"retry-after": "60"}), refuse(503)], ids=["429", "503"])
def test_a_refusal_at_one_effort_rests_the_model_at_all_efforts(
    tmp_path: Path, bundle: Path, provider: ScriptedProvider, refusal: Behaviour
) -> None:
    with ScriptedProvider() as other:
        spare = {**SERVED, "upstream_model": "spare-1", "vendor_model": "maker/spare", "efforts": []}
        servers = [
            {"id": "lab", "base_url": provider.base_url, "models": [SERVED]},
            {
                "id": "other",
                "base_url": other.base_url,
                "models": [{**spare, "trained_name": "phi-3-mini-4k-instruct"}],
            },
        ]
        provider.usually = refusal
        with gateway_of(tmp_path, bundle, provider, servers=servers, willingness_to_pay_usd=1) as gateway:
            assert ask(gateway).headers["x-llmdeal-lane"] == "other/spare-1"
            reasons = excluded(ask(gateway, path="route"))
    assert len(provider.requests) == 1
    assert reasons == {DEFAULT: "cooldown", NONE: "cooldown", HIGH: "cooldown", "other/spare-1": None}


def test_a_virtual_key_for_a_lane_may_use_it_at_every_effort(
    tmp_path: Path, bundle: Path, provider: ScriptedProvider
) -> None:
    key = issue_virtual_key("test")
    keys = [{"name": "all", "key": key, "lanes": ["lab/thinker-1"]}]
    low = issue_virtual_key("test")
    keys.append({"name": "little", "key": low, "lanes": ["*:none"]})
    with gateway_of(tmp_path, bundle, provider, virtual_keys=keys) as gateway:
        body = {"model": "smart-route", "messages": [{"role": "user", "content": HARD}]}
        decisions = [
            httpx.post(f"{gateway.url}/v1/route", json=body, headers={"authorization": f"Bearer {each}"})
            for each in (key, low)
        ]
    assert excluded(decisions[0]) == {DEFAULT: None, NONE: None, HIGH: None}
    assert excluded(decisions[1]) == {DEFAULT: "virtual_key", NONE: None, HIGH: "virtual_key"}


@pytest.mark.parametrize(
    ("dialect", "usually", "wanted"),
    [
        ("openai", answer, {"reasoning_effort": "high"}),
        (
            "anthropic",
            recorded("anthropic/answer.json"),
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}},
        ),
        ("gemini", recorded("gemini/answer.json"), {"generationConfig": {"thinkingConfig": {"thinkingLevel": "high"}}}),
        (
            "bedrock",
            recorded("bedrock/answer.json"),
            {
                "additionalModelRequestFields": {
                    "thinking": {"type": "adaptive", "display": "omitted"},
                    "output_config": {"effort": "high"},
                }
            },
        ),
    ],
    ids=["openai", "anthropic", "gemini", "bedrock"],
)
def test_every_dialect_of_a_provider_carries_the_effort(
    tmp_path: Path, provider: ScriptedProvider, dialect: str, usually: Behaviour, wanted: dict[str, Any]
) -> None:
    of_claude = derive_bundle(tmp_path / "claude", adds={"anthropic/thinker@high": "o1-preview-2024-09-12"})
    served = {**SERVED, "vendor_model": "anthropic/thinker"}
    servers = [
        {"id": "lab", "base_url": provider.base_url, "key": "secret", "dialect": dialect, "models": [served]},
    ]
    provider.usually = usually
    with gateway_of(tmp_path, of_claude, provider, servers=servers) as gateway:
        assert ask(gateway, model="anthropic/thinker:high").status_code == 200
        assert ask(gateway, model="anthropic/thinker").status_code == 200
    at_high, at_default = provider.requests
    assert {name: value for name, value in at_high.items() if name in wanted} == wanted
    assert not any(name in at_default for name in wanted)


def test_messages_and_responses_carry_the_effort_to_providers_of_their_own_dialect(
    tmp_path: Path, bundle: Path, provider: ScriptedProvider
) -> None:
    servers = [
        {"id": name, "base_url": provider.base_url, "dialect": main, "also_speaks": further, "models": [SERVED]}
        for name, main, further in (("claude", "anthropic", []), ("gpt", "openai", ["responses"]))
    ]
    message = {"max_tokens": 4_000, "messages": [{"role": "user", "content": HARD}]}
    provider.usually = refuse(400)  # the body that arrives is all that counts here
    with gateway_of(tmp_path, bundle, provider, servers=servers) as gateway:
        for lane, path, body in (
            ("claude/thinker-1:high", "messages", message),
            ("claude/thinker-1:none", "messages", message),
            ("claude/thinker-1", "messages", {**message, "output_config": {"effort": "high"}}),
            ("gpt/thinker-1:high", "responses", {"input": HARD}),
            ("gpt/thinker-1", "responses", {"input": HARD, "reasoning": {"effort": "none"}}),
        ):
            httpx.post(f"{gateway.url}/v1/{path}", json={"model": lane, **body}, timeout=30)
        lanes = [row.lane_id for row in gateway.attempts()]
    sent = [
        {name: value for name, value in body.items() if name in ("thinking", "output_config", "reasoning")}
        for body in provider.requests
    ]
    assert sent == [
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}},
        {"thinking": {"type": "disabled"}},
        {"output_config": {"effort": "high"}},
        {"reasoning": {"effort": "high"}},
        {"reasoning": {"effort": "none"}},
    ]
    assert sorted(lanes) == [
        "claude/thinker-1:high",
        "claude/thinker-1:high",
        "claude/thinker-1:none",
        "gpt/thinker-1:high",
        "gpt/thinker-1:none",
    ]


def test_pages_and_lists_name_the_effort(lab: Lab) -> None:
    gateway, _ = lab
    models = httpx.get(f"{gateway.url}/v1/models").json()["data"]
    page = httpx.get(f"{gateway.url}/lanes").text
    explained = ask(gateway, model=HIGH, route={"explain": True}).json()["llmdeal"]
    lanes = next(model["lanes"] for model in models if model["id"] == "maker/thinker")
    assert [(lane["id"], lane["effort"]) for lane in lanes] == [(DEFAULT, None), (NONE, "none"), (HIGH, "high")]
    assert "effort high" in page
    assert (explained["lane"], explained["chosen"]) == (HIGH, HIGH)


def test_a_bundle_brings_its_efforts_while_the_gateway_runs(
    tmp_path: Path, bundle: Path, provider: ScriptedProvider
) -> None:
    shutil.copytree(bundle, tmp_path / "bundles" / "efforts")
    servers = [{"id": "lab", "base_url": provider.base_url, "models": [SERVED]}]
    shipped = load_bundle(SHIPPED_BUNDLE).version
    with GatewayThread(tmp_path, servers=servers, willingness_to_pay_usd=1) as gateway:
        keeper = gateway.resources.bundle_keeper
        assert set(excluded(ask(gateway, path="route"))) == {DEFAULT}
        keeper.try_canary("efforts", 0.5, "an operator")
        follow(gateway)
        decided = [ask(gateway, path="route", session_id=str(number)) for number in range(16)]
        chosen = {(one.json()["router_version"] == shipped, one.json()["chosen"]) for one in decided}
        by_champion = next(one for one in decided if one.json()["router_version"] == shipped)
        keeper.promote("efforts", "an operator", is_forced=True, note="it knows efforts")
        follow(gateway)
        promoted = ask(gateway)
        keeper.rollback("an operator")
        follow(gateway)
        rolled_back = ask(gateway)
        pinned = [ask(gateway, model=HIGH), ask(gateway, model=HIGH, reasoning_effort="high")]
    assert chosen == {(True, DEFAULT), (False, HIGH)}
    assert excluded(by_champion) == {DEFAULT: None, NONE: "effort", HIGH: "effort"}
    assert [one.headers["x-llmdeal-lane"] for one in (promoted, rolled_back)] == [HIGH, DEFAULT]
    assert [one.headers["x-llmdeal-lane"] for one in pinned] == [HIGH, DEFAULT]
    assert [body.get("reasoning_effort") for body in provider.requests] == ["high", None, "high", "high"]


def test_a_lane_that_rests_goes_on_resting_at_the_efforts_that_a_new_bundle_brings(
    tmp_path: Path, bundle: Path, provider: ScriptedProvider
) -> None:
    shutil.copytree(bundle, tmp_path / "bundles" / "efforts")
    spare = {**SERVED, "upstream_model": "spare-1", "vendor_model": "maker/spare"}
    servers = [
        {"id": "lab", "base_url": provider.base_url, "models": [SERVED]},
        {"id": "other", "base_url": provider.base_url, "models": [spare]},
    ]
    provider.script = [refuse(429, headers={"retry-after": "600"})]
    with GatewayThread(tmp_path, servers=servers) as gateway:
        ask(gateway, model=DEFAULT)
        gateway.resources.bundle_keeper.promote("efforts", "an operator", is_forced=True, note="it knows efforts")
        follow(gateway)
        reasons = excluded(ask(gateway, path="route"))
    assert reasons == {DEFAULT: "cooldown", NONE: "cooldown", HIGH: "cooldown", "other/spare-1": None}


def test_the_command_line_keeps_to_the_operators_limit(tmp_path: Path, bundle: Path) -> None:
    model = "\n".join(f"{name} = {json.dumps(value)}" for name, value in SERVED.items())
    server = f'[[servers]]\nid = "lab"\nbase_url = "http://127.0.0.1:9/v1"\n[[servers.models]]\n{model}\n'
    config = tmp_path / "llmdeal.toml"
    config.write_text(f'bundle = "{bundle}"\nroute_efforts = "none"\n{server}', encoding="utf-8")
    shown = CliRunner().invoke(build_command_line(None), ["route", HARD, "--config", str(config)])
    assert shown.exit_code == 0, shown.output
    assert NONE in shown.output
    assert HIGH not in shown.output
    assert "1 lanes excluded" in shown.output
