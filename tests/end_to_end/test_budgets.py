"""Budgets through the public door: spent to the nano-dollar, never beyond, and said so."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider, answer_with, refuse
from typer.testing import CliRunner

from serve.cli.main import build_command_line
from serve.identity.virtual_keys import issue_virtual_key
from serve.money.budget_repository import BudgetRepository
from serve.storage.database import open_database

pytestmark = pytest.mark.slow

MESSAGES: Any = [{"role": "user", "content": "What is 17 * 23?"}]
KEY = issue_virtual_key("test")
ANSWER_NUSD = 11 * 500 + 7 * 1_500  # 11 tokens in at 0.5 USD a million, 7 out at 1.5
BUDGET_NUSD = 60_000 + ANSWER_NUSD
MOST_ANSWERS = 2 * (BUDGET_NUSD // ANSWER_NUSD)  # of two such budgets, if no nano-dollar were held back


def server(provider_id: str, base_url: str, **others: Any) -> dict[str, Any]:
    served = {
        "upstream_model": "llama",
        "vendor_model": "meta/llama",
        "input_usd_per_mtok": "0.5",
        "output_usd_per_mtok": "1.5",
    }
    return {"id": provider_id, "base_url": base_url, "models": [{**served, "context_tokens": 32_000}], **others}


@pytest.fixture
def first() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def second() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


def ask(gateway: GatewayThread, **fields: Any) -> httpx.Response:
    body = {"model": "smart-route", "messages": MESSAGES, "max_tokens": 10, **fields}
    return httpx.post(
        f"{gateway.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=30
    )


def spent(gateway: GatewayThread, scope: str) -> int:
    """Return what the ledger says once everything is in it."""
    import asyncio

    asyncio.run_coroutine_threadsafe(gateway.resources.budgets.flush(), gateway._loop).result(10)
    repository = BudgetRepository(gateway.resources.engine)
    [[_, month]] = [entry for entry in repository.scopes_of(_month()) if entry[0] == scope] or [["", _month()]]
    [state] = repository.states([(scope, month)])
    assert repository.ledger_total(scope, month) == state.spent_nusd
    return state.spent_nusd


def _month() -> str:
    from datetime import UTC, datetime

    return f"{datetime.now(UTC):%Y-%m}"


def test_every_scope_pays_for_an_answer_streamed_or_not(tmp_path: Path, first: ScriptedProvider) -> None:
    with GatewayThread(
        tmp_path, virtual_keys=[{"name": "ci", "key": KEY}], servers=[server("first", first.base_url)]
    ) as gateway:
        assert ask(gateway).status_code == 200
        assert ask(gateway, stream=True).status_code == 200
        for scope in ("account:default", "virtual_key:ci", "provider_key:first"):
            assert spent(gateway, scope) == 2 * ANSWER_NUSD
        assert sum(row.cost_nusd or 0 for row in gateway.attempts()) == 2 * ANSWER_NUSD


def test_when_a_provider_keys_budget_is_spent_the_next_lane_answers_and_then_nobody(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    budget = f"{BUDGET_NUSD / 1e9:.9f}"
    servers = [
        server("first", first.base_url, monthly_budget_usd=budget),
        server("second", second.base_url, monthly_budget_usd=budget),
    ]
    with GatewayThread(tmp_path, servers=servers) as gateway:
        answers = [ask(gateway)]
        while answers[-1].status_code == 200 and len(answers) <= MOST_ANSWERS:
            answers.append(ask(gateway))
        lanes = [answer.headers.get("x-llmdeal-lane") for answer in answers]
        assert lanes[0] == "first/llama"
        assert "second/llama" in lanes
        reasons = {
            answer.headers["x-llmdeal-reason"]
            for answer in answers
            if answer.headers.get("x-llmdeal-lane") == "second/llama"
        }
        assert reasons <= {"fallback_budget", "only_candidate"}  # found spent when it was asked, or known to be before
        refused = answers[-1]
        assert refused.status_code == 402
        error = refused.json()["error"]
        assert (error["code"], error["type"]) == ("budget_spent", "billing_error")
        assert "provider_key:" in error["message"]
        assert "-01T00:00:00Z" in error["message"]
        for scope in ("provider_key:first", "provider_key:second"):
            assert 0 < spent(gateway, scope) <= BUDGET_NUSD


def test_a_virtual_keys_budget_ends_with_402_though_lanes_are_left(
    tmp_path: Path, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    keys = [{"name": "ci", "key": KEY, "monthly_budget_usd": "0.000070"}]
    servers = [server("first", first.base_url), server("second", second.base_url)]
    with GatewayThread(tmp_path, virtual_keys=keys, servers=servers) as gateway:
        statuses = [ask(gateway) for _ in range(8)]
        assert statuses[0].status_code == 200
        assert statuses[-1].status_code == 402
        assert "virtual_key:ci" in statuses[-1].json()["error"]["message"]
        assert second.requests == []
        assert 0 < spent(gateway, "virtual_key:ci") <= 70_000


def test_the_anthropic_door_says_it_in_its_own_envelope(tmp_path: Path, first: ScriptedProvider) -> None:
    with GatewayThread(tmp_path, monthly_budget_usd="0.000001", servers=[server("first", first.base_url)]) as gateway:
        body = {"model": "smart-route", "messages": MESSAGES, "max_tokens": 10}
        answer = httpx.post(f"{gateway.url}/v1/messages", json=body)
        assert answer.status_code == 402
        assert answer.json()["error"]["type"] == "billing_error"
        assert first.requests == []


def test_sixty_four_callers_at_once_never_spend_more_than_the_budget(tmp_path: Path, first: ScriptedProvider) -> None:
    """Streams, refusals and answers of other lengths, all together, against a budget for some of them."""
    cap = 1_500_000
    first.script = [refuse(400), answer_with(completion_tokens=9), answer_with(completion_tokens=0)] * 5
    servers = [server("first", first.base_url, monthly_budget_usd=f"{cap / 1e9:.9f}")]
    with GatewayThread(tmp_path, servers=servers) as gateway, ThreadPoolExecutor(64) as pool:
        statuses = list(pool.map(lambda n: ask(gateway, stream=n % 2 == 0).status_code, range(256)))
        assert statuses.count(200) > 10
        total = spent(gateway, "provider_key:first")
        assert 0 < total <= cap
        assert total == sum(row.cost_nusd or 0 for row in gateway.attempts())


def test_a_caller_that_goes_away_is_charged_for_what_had_come(tmp_path: Path, first: ScriptedProvider) -> None:
    first.script = [first.hang]
    with GatewayThread(tmp_path, servers=[server("first", first.base_url)]) as gateway:
        body = {"model": "smart-route", "messages": MESSAGES, "stream": True}
        with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=body) as response:
            next(response.iter_bytes())
        assert first.hang_ended.wait(5)
        assert spent(gateway, "provider_key:first") > 0


def test_budgets_are_listed_set_and_lifted_on_the_command_line(tmp_path: Path, first: ScriptedProvider) -> None:
    config = tmp_path / "llmdeal.toml"
    config.write_text(f"database = {json.dumps(str(tmp_path / 'llmdeal.db'))}\n", encoding="utf-8")

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(build_command_line("budgets"), ["budgets", *arguments, "--config", str(config)])
        return f"{result.exit_code} {result.output}"

    with GatewayThread(tmp_path, monthly_budget_usd="0.01", servers=[server("first", first.base_url)]) as gateway:
        assert ask(gateway).status_code == 200
        spent(gateway, "account:default")
        listed = CliRunner().invoke(build_command_line("budgets"), ["budgets", "--config", str(config)]).output
        assert "account:default" in listed
        assert "0.0100" in listed
        assert "no limit" in listed
        assert run("set", "provider_key:first", "0.000001").startswith("0 ")
        gateway.resources.budgets.read_rules()
        assert ask(gateway).status_code == 402
        assert run("lift", "provider_key:first").startswith("0 ")
        gateway.resources.budgets.read_rules()
        assert ask(gateway).status_code == 200
        assert run("lift", "provider_key:first").startswith("2 ")
        assert run("set", "somebody", "1").startswith("2 ")
        assert run("set", "account:default", "a lot").startswith("2 ")
        assert run("set", "account:default", "0.0000000001").startswith("2 ")


def test_a_budget_of_the_settings_goes_when_it_goes_there(tmp_path: Path, first: ScriptedProvider) -> None:
    servers = [server("first", first.base_url)]
    with GatewayThread(tmp_path, monthly_budget_usd="0.000001", servers=servers) as gateway:
        assert ask(gateway).status_code == 402
    with GatewayThread(tmp_path, servers=servers) as gateway:
        assert ask(gateway).status_code == 200


def test_a_stream_that_does_not_end_in_time_is_cut_when_the_gateway_stops_and_is_settled(
    tmp_path: Path, first: ScriptedProvider
) -> None:
    first.script = [first.hang]
    with ThreadPoolExecutor(1) as pool, GatewayThread(tmp_path, servers=[server("first", first.base_url)]) as gateway:
        gateway._server.config.timeout_graceful_shutdown = 1
        cut = pool.submit(ask, gateway, stream=True)
        assert first.was_asked.wait(10)
    assert cut.exception(10) is None or isinstance(cut.exception(), httpx.TransportError)
    engine = open_database(str(tmp_path / "llmdeal.db"))
    [state] = BudgetRepository(engine).states([("provider_key:first", _month())])
    engine.dispose()
    assert state.spent_nusd > 0
    assert state.leased_nusd == 0
    assert list((tmp_path / "journals").iterdir()) == []
