"""Exploration through the public door: drawn as logged, paid from the ceiling, never against a caller's wish."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider
from typer.testing import CliRunner

from serve.cli.main import build_command_line
from serve.routing.exploration.repository import ExplorationMonth, ExplorationRepository

pytestmark = pytest.mark.slow

MESSAGES: Any = [{"role": "user", "content": "What is 17 * 23?"}]
EXPLORATION = {"share": 0.5, "monthly_ceiling_usd": "1", "quality_bar": 0.0}


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@contextmanager
def exploring_gateway(folder: Path, provider: ScriptedProvider, **exploration: Any) -> Iterator[GatewayThread]:
    """Two lanes of one model, the first a little cheaper."""
    servers = []
    for name, rate in (("first", "0.5"), ("second", "0.6")):
        model = {
            "upstream_model": "llama",
            "vendor_model": "meta/llama",
            "input_usd_per_mtok": rate,
            "output_usd_per_mtok": "1",
        }
        graded = {**model, "context_tokens": 32_000, "trained_name": "llama-3.1-8b-instruct"}
        servers.append({"id": name, "base_url": provider.base_url, "models": [graded]})
    with GatewayThread(folder, servers=servers, exploration={**EXPLORATION, **exploration}) as running:
        yield running


def ask(gateway: GatewayThread, path: str = "chat/completions", **fields: Any) -> httpx.Response:
    response = httpx.post(
        f"{gateway.url}/v1/{path}", json={"model": "smart-route", "messages": MESSAGES, **fields}, timeout=30
    )
    assert response.status_code == 200, response.text
    return response


def this_month(gateway: GatewayThread) -> ExplorationMonth:
    """Return the month once the worker has told what it spent."""
    explorer = gateway.resources.explorer
    assert explorer is not None
    asyncio.run_coroutine_threadsafe(explorer.budget.look(), gateway._loop).result(10)
    return ExplorationRepository(gateway.resources.engine).month(f"{datetime.now(UTC):%Y-%m}")


def test_what_is_explored_is_logged_at_its_propensity_counted_and_shown(
    tmp_path: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with exploring_gateway(tmp_path, provider) as gateway:
        answers = [ask(gateway, route={"explain": True}) for _ in range(60)]
        reasons = [answer.headers["x-llmdeal-reason"] for answer in answers]
        n_explored = reasons.count("explored")
        assert 15 <= n_explored <= 45
        rows = gateway.attempts()
        assert {(row.lane_id, row.reason, row.propensity) for row in rows} == {
            ("first/llama", "best_quality_per_dollar", 0.5),
            ("second/llama", "explored", 0.5),
        }
        assert rows[0].candidates is not None
        assert rows[0].candidates.probability.tolist() == [0.5, 0.5]
        explored = answers[reasons.index("explored")].json()["llmdeal"]
        price_usd = explored["exploration_price_usd"]
        costs = {one["lane"]: one["cost_usd"] for one in explored["candidates"]}
        assert price_usd == pytest.approx(costs["second/llama"] - costs["first/llama"], rel=1e-3)
        month = this_month(gateway)
        assert month.n_explored == n_explored
        assert month.spent_nusd == pytest.approx(n_explored * price_usd * 1e9, abs=2 * n_explored)
        metrics = httpx.get(f"{gateway.url}/metrics").text
        assert f"llmdeal_explored_requests_total {n_explored}.0" in metrics
        assert f"llmdeal_exploration_month_usd {month.spent_nusd / 1e9}" in metrics
        assert f"50% explore, {n_explored} this month for" in httpx.get(f"{gateway.url}/router").text
    config = tmp_path / "llmdeal.toml"
    config.write_text(
        f'database = "{tmp_path}/llmdeal.db"\n[exploration]\nshare = 0.5\nmonthly_ceiling_usd = "1"\n', encoding="utf-8"
    )
    shown = CliRunner().invoke(build_command_line(None), ["exploration", "--config", str(config)]).output
    assert f"{n_explored} requests explored" in shown
    assert "in the hands of workers" not in shown


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "meta/llama"},
        {"model": "smart-route:floor"},
        {"model": "smart-route:nitro"},
        {"provider": {"sort": "price"}},
        {"provider": {"order": ["first"]}},
        {"model": "first:meta/llama", "models": ["second:meta/llama"]},
        {"route": {"explore": False}},
        {"route": {"quality": 1.0}},
    ],
    ids=str,
)
def test_a_caller_who_wants_something_definite_gets_it(
    tmp_path: Path, provider: ScriptedProvider, fields: dict[str, Any]
) -> None:
    with exploring_gateway(tmp_path, provider) as gateway:
        decided = ask(gateway, "route", **fields).json()
    assert decided["propensity"] == 1
    assert decided["exploration_price_usd"] is None


def test_a_rehearsed_decision_costs_nothing_of_the_ceiling(tmp_path: Path, provider: ScriptedProvider) -> None:
    with exploring_gateway(tmp_path, provider) as gateway:
        assert "explored" in {ask(gateway, "route").json()["reason"] for _ in range(20)}
        assert this_month(gateway).n_explored == 0


def test_when_the_ceiling_is_reached_the_best_lane_is_certain_again(tmp_path: Path, provider: ScriptedProvider) -> None:
    with exploring_gateway(
        tmp_path, provider, monthly_ceiling_usd="0.00003"
    ) as gateway:  # about a slice for one such request
        first = ask(gateway, "route").json()
        assert first["propensity"] == 0.5
        for _ in range(200):
            if ask(gateway, "route").json()["propensity"] == 1:
                break
            ask(gateway)
            month = this_month(gateway)
            assert month.spent_nusd <= month.taken_nusd <= 30_000
        assert ask(gateway, "route").json()["propensity"] == 1
        assert {ask(gateway).headers["x-llmdeal-lane"] for _ in range(10)} == {"first/llama"}


def test_without_the_setting_nothing_is_explored(tmp_path: Path, provider: ScriptedProvider) -> None:
    with exploring_gateway(tmp_path, provider, share=0.0, monthly_ceiling_usd=None) as gateway:
        assert gateway.resources.explorer is None
        assert ask(gateway, "route").json()["propensity"] == 1
