"""Prices that change while the gateway runs: a real gateway, a provider, and a server that publishes prices."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from fakes.gateway_thread import GatewayThread
from fakes.price_server import PriceServer, published, times
from fakes.running_gateway import START, RunningGateway
from fakes.scripted_provider import USAGE, ScriptedProvider, stream_events

from serve.app import create_app
from serve.catalogue.packaged_prices import PackagedPrices
from serve.clock import SystemClock
from serve.settings import Settings

pytestmark = pytest.mark.slow

LANE = "openai/gpt-5.4-mini"
MODEL = "gpt-5.4-mini"
KEY = {"OPENAI_API_KEY": "provider-secret-1"}
BEFORE = 11 * Decimal("0.75") + 7 * Decimal("4.5")
"""Cost of an answer at the packaged price, in millionths of a US dollar."""


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def publisher() -> Iterator[PriceServer]:
    with PriceServer(published("openai")) as running:
        yield running


def prices_command(folder: Path, publisher: PriceServer, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `llmdeal prices` on the data of the gateway, as people do."""
    config = folder / "llmdeal.toml"
    config.write_text(f'database = "{folder}/llmdeal.db"\n[prices]\nurl = "{publisher.url}/data.json"\n')
    command = [sys.executable, "-c", START, "prices", *arguments, "--config", str(config)]
    environment = {**os.environ, **KEY, "XDG_CONFIG_HOME": str(folder), "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


def wait_until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    ends_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends_at, "it did not happen in time"
        time.sleep(0.02)


def gateway_of(folder: Path, provider: ScriptedProvider, **settings: Any) -> GatewayThread:
    return GatewayThread(folder, KEY, providers={"openai": {"base_url": provider.base_url}}, **settings)


def ask(url: str, **fields: object) -> httpx.Response:
    body = {"model": LANE, "messages": [{"role": "user", "content": "What is 17 * 23?"}], **fields}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=30)


def cost_of(answer: httpx.Response) -> Decimal:
    return Decimal(answer.headers["x-llmdeal-cost-usd"]) * 1_000_000


def test_a_stream_that_runs_while_prices_change_is_billed_at_those_of_its_decision(
    tmp_path: Path, provider: ScriptedProvider, publisher: PriceServer
) -> None:
    may_end = threading.Event()

    async def slow_stream(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        first, *others = stream_events(body["model"])
        await response.write(first)
        assert await asyncio.to_thread(may_end.wait, 60)
        for event in others:
            await response.write(event)
        return response

    provider.script.append(slow_stream)
    publisher.answer = published("openai", change=times("1.2", MODEL))
    with gateway_of(tmp_path, provider) as gateway:
        snapshot = gateway.resources.directory.price_snapshot_id
        body = {"model": LANE, "messages": [{"role": "user", "content": "hi"}], "stream": True}
        url = f"{gateway.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=60) as stream:
            chunks = stream.iter_text()
            text = next(chunks)
            result = prices_command(tmp_path, publisher, "refresh", "--source", "published")
            assert (result.returncode, result.stdout.splitlines()[0]) == (0, "published: accepted"), result.stderr
            wait_until(lambda: gateway.resources.directory.price_snapshot_id != snapshot)
            after = cost_of(ask(gateway.url))
            may_end.set()
            text += "".join(chunks)
        assert [Decimal(cost) * 1_000_000 for cost in re.findall(r'"cost":([0-9.e-]+)', text)] == [BEFORE]
        assert after == BEFORE * Decimal("1.2")
        rows = {row.is_streaming: row for row in gateway.attempts()}
        assert rows[True].price_snapshot_id == snapshot
        assert rows[False].price_snapshot_id == gateway.resources.directory.price_snapshot_id
        spent = [Decimal(row.cost_nusd or 0) / 1_000 for row in (rows[True], rows[False])]
        assert spent == [BEFORE, BEFORE * Decimal("1.2")]
        priced = {lane["id"]: lane["pricing"] for lane in lanes_of(gateway.url)}
        assert priced[LANE]["source"] == "genai-prices, published"
        assert priced[LANE]["checked_on"] == "2026-11-20"


def lanes_of(url: str) -> list[dict[str, Any]]:
    models = httpx.get(f"{url}/v1/models").json()["data"]
    return [lane for model in models for lane in model["lanes"] if isinstance(lane, dict)]


def test_a_table_that_halves_a_price_rings_is_shown_and_waits_for_the_operator(
    tmp_path: Path, provider: ScriptedProvider, publisher: PriceServer
) -> None:
    publisher.answer = published("openai", change=times("0.5", MODEL))
    settings = {"sources": ["published"], "url": f"{publisher.url}/data.json"}
    with gateway_of(tmp_path, provider, prices=settings) as gateway:
        wait_until(lambda: bool(gateway.resources.prices.quarantined))
        assert cost_of(ask(gateway.url)) == BEFORE
        for page in ("/", "/lanes"):
            assert "New prices from" in httpx.get(f"{gateway.url}{page}").text
        assert 'llmdeal_watch_alarms_total{kind="price_table"} 1.0' in httpx.get(f"{gateway.url}/metrics").text
        shown = prices_command(tmp_path, publisher)
        assert "are not used yet" in shown.stdout.replace("\n", " ")
        diff = prices_command(tmp_path, publisher, "diff")
        assert f"{LANE}" in diff.stdout
        assert "-50%" in diff.stdout
        confirmed = prices_command(tmp_path, publisher, "confirm", "published")
        assert confirmed.returncode == 0, confirmed.stderr
        wait_until(lambda: cost_of(ask(gateway.url)) == BEFORE / 2)
        wait_until(lambda: not gateway.resources.prices.quarantined)
        assert "New prices from" not in httpx.get(f"{gateway.url}/lanes").text
        assert prices_command(tmp_path, publisher, "diff").stdout.strip() == "No table waits for confirmation."


def test_several_workers_ask_once_and_all_use_the_new_prices(
    tmp_path: Path, provider: ScriptedProvider, publisher: PriceServer
) -> None:
    publisher.answer = published("openai", change=times("1.2", MODEL))
    (tmp_path / "llmdeal.toml").write_text(
        f'[prices]\nsources = ["published"]\nurl = "{publisher.url}/data.json"\n'
        f'[providers.openai]\nbase_url = "{provider.base_url}"\n'
    )
    gateway = RunningGateway(tmp_path, "--workers", "2", **KEY)
    try:
        url = gateway.url()

        def costs() -> set[Decimal]:
            # A new connection each time: the kernel spreads them over the workers.
            return {cost_of(ask(url)) for _ in range(6)}

        wait_until(lambda: costs() == {BEFORE * Decimal("1.2")}, 60)
    finally:
        gateway.process.terminate()
        gateway.process.wait(30)
    assert len(publisher.requests) == 1


def test_a_request_for_flex_is_quoted_and_billed_as_flex(tmp_path: Path, provider: ScriptedProvider) -> None:
    async def served_as(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        choice = {"index": 0, "message": {"role": "assistant", "content": "391"}, "finish_reason": "stop"}
        head = {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}
        return web.json_response({**head, "usage": USAGE, "service_tier": body.get("service_tier", "default")})

    provider.usually = served_as
    with gateway_of(tmp_path, provider) as gateway:
        assert cost_of(ask(gateway.url)) == BEFORE
        assert cost_of(ask(gateway.url, service_tier="flex")) == BEFORE / 2
        assert cost_of(ask(gateway.url, service_tier="priority")) == BEFORE * 2
        rows = gateway.attempts()
        expected = {
            tier: httpx.post(
                f"{gateway.url}/v1/route",
                json={"model": LANE, "messages": [{"role": "user", "content": "hi"}], **tiers},
            ).json()
            for tier, tiers in (("default", {}), ("flex", {"service_tier": "flex"}))
        }
    assert [row.service_tier for row in rows] == ["default", "flex", "priority"]
    assert [(row.reasoning_tokens, row.web_searches) for row in rows] == [(None, 0)] * 3
    ratio = _expected_cost(expected["flex"]) / _expected_cost(expected["default"])
    assert ratio == pytest.approx(0.5, rel=1e-4)  # costs are shown with ten digits behind the point


def _expected_cost(explanation: dict[str, Any]) -> float:
    (candidate,) = [each for each in explanation["candidates"] if each["lane"] == LANE]
    cost = candidate["cost_usd"]
    assert isinstance(cost, float)
    return cost


class SetClock(SystemClock):
    """The machine's clock, at another time."""

    offset = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.offset


def test_a_dated_price_is_used_from_its_day_on_without_a_restart(tmp_path: Path) -> None:
    clock = SetClock()
    clock.offset = datetime(2026, 10, 15, 12, tzinfo=UTC) - SystemClock().now()
    values = {"database": str(tmp_path / "llmdeal.db"), "port": 0, "sandbox": "off"}
    environment = {"MISTRAL_API_KEY": "key", "XDG_CONFIG_HOME": str(tmp_path)}
    app = create_app(Settings.model_validate(values), environment, clock)
    resources = app.state.resources

    def rate() -> Decimal | None:
        lanes = resources.directory.table.lanes
        return next((lane.price.input_usd_per_mtok for lane in lanes if lane.upstream_model == "mistral-large-4"), None)

    async def rates() -> list[Decimal | None]:
        seen = [rate()]
        for day in (25, 31):
            clock.offset = datetime(2026, 10, day, 12, tzinfo=UTC) - SystemClock().now()
            await resources.prices.round()
            seen.append(rate())
        return seen

    assert asyncio.run(rates()) == [Decimal("0.68"), Decimal("1.36"), Decimal("0.7")]


def test_a_list_is_asked_with_a_key_that_is_stored_while_the_gateway_runs(tmp_path: Path) -> None:
    secret = "sk-or-v1-" + "0123456789abcdef" * 4
    offered = PackagedPrices(SystemClock().now()).price_of("openrouter", "openai/gpt-5.4-mini")
    assert offered is not None
    prompt, completion = (rate / 1_000_000 for rate in (offered.input_usd_per_mtok, offered.output_usd_per_mtok))
    pricing = {"prompt": f"{prompt * Decimal('1.1'):f}", "completion": f"{completion:f}"}
    with (
        PriceServer({"data": [{"id": "openai/gpt-5.4-mini", "pricing": pricing}]}) as lists,
        GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0, prices={"sources": ["providers"]}) as gateway,
    ):
        body = {"key": secret, "name": "work", "base_url": f"{lists.url}/api/v1"}
        stored = httpx.post(f"{gateway.url}/admin/v1/accounts/default/provider-keys", json=body)
        assert stored.status_code == 201, stored.text

        def price() -> Decimal | None:
            lanes = gateway.resources.directory.table.lanes
            rates = (lane.price.input_usd_per_mtok for lane in lanes if lane.lane_id.endswith("openai/gpt-5.4-mini"))
            return next(rates, None)

        wait_until(lambda: price() == offered.input_usd_per_mtok * Decimal("1.1"))
        asked = [headers["authorization"] for path, headers in lists.requests if path == "/api/v1/models"]
        assert asked == [f"Bearer {secret}"]
    assert secret not in "".join(path.read_text() for path in (tmp_path / "prices").glob("*.json"))
