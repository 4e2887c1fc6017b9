"""Feedback moves the lanes of a running gateway: the next decision, its explanation, metrics, pages and command."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.derived_bundle import add_file, derive_bundle, judge
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider
from typer.testing import CliRunner

from router.account_correction import AccountCorrection, AccountCorrections, PromptSpace, hashed
from router.bundle import load_bundle
from router.lane_correction import Judged, LaneCorrection
from router.recent_shifts import RECENT_SHIFTS_FILE, RecentShifts
from serve.alerts.watch_repository import Alarm, WatchRepository
from serve.cli.main import build_command_line
from serve.instant import to_microseconds
from serve.storage.database import open_database
from serve.watch.lane_watch import LaneWatch

pytestmark = pytest.mark.slow

MESSAGES: Any = [{"role": "user", "content": "What is 17 * 23?"}]


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


def servers(provider: ScriptedProvider) -> list[dict[str, Any]]:
    """Return two lanes of two models that are believed to be equally good, the first a little cheaper."""
    entries = []
    for name, rate in (("first", "0.5"), ("second", "0.6")):
        model = {
            "upstream_model": "llama",
            "vendor_model": f"meta/{name}",
            "input_usd_per_mtok": rate,
            "output_usd_per_mtok": "1",
        }
        graded = {**model, "context_tokens": 32_000, "trained_name": "llama-3.1-8b-instruct"}
        entries.append({"id": name, "base_url": provider.base_url, "models": [graded]})
    return entries


def ask(gateway: GatewayThread) -> httpx.Response:
    body = {"model": "smart-route", "messages": MESSAGES, "route": {"explain": True}}
    response = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, timeout=30)
    assert response.status_code == 200, response.text
    return response


def learn(gateway: GatewayThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker have its round as though the last seconds were long past."""
    monkeypatch.setattr("serve.watch.lane_watch._LAG_US", 0)
    watch = gateway.background("watch")
    watch._lanes._round_us = 0
    asyncio.run_coroutine_threadsafe(watch.round(is_whole=True), gateway._loop).result(30)


def test_thumbs_down_send_the_next_request_to_the_other_lane(
    tmp_path: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.watch.follower.LEARN_S", 3_600.0)
    with GatewayThread(tmp_path, servers=servers(provider)) as gateway:
        for _ in range(12):
            answer = ask(gateway)
            assert answer.headers["x-llmdeal-lane"] == "first/llama"
            feedback = {"request_id": answer.headers["x-llmdeal-request-id"], "metric_name": "thumbs", "value": False}
            assert httpx.post(f"{gateway.url}/v1/feedback", json=feedback, timeout=30).status_code == 202
        gateway.attempts()
        learn(gateway, monkeypatch)
        moved = ask(gateway)
        assert moved.headers["x-llmdeal-lane"] == "second/llama"
        candidates = {candidate["lane"]: candidate for candidate in moved.json()["llmdeal"]["candidates"]}
        assert candidates["first/llama"]["quality_shift"] < -0.2 < candidates["second/llama"]["quality_shift"]
        assert candidates["first/llama"]["quality"] < candidates["second/llama"]["quality"]
        row = gateway.attempts()[-1]
        assert row.candidates is not None
        assert row.candidates.quality_shift is not None
        metrics = httpx.get(f"{gateway.url}/metrics", timeout=30).text
        assert 'llmdeal_lane_quality_shift{lane="first/llama"' in metrics
        assert re.search(r"quality\s+-", httpx.get(f"{gateway.url}/lanes", timeout=30).text)
        page = httpx.get(f"{gateway.url}/router", timeout=30).text
        assert "first/llama" in page
        assert "No alarm rang" in page
    with GatewayThread(tmp_path, servers=servers(provider)) as again:  # the shift outlives a restart
        learn(again, monkeypatch)
        assert ask(again).headers["x-llmdeal-lane"] == "second/llama"


def test_a_new_bundle_begins_with_what_its_logs_said_of_the_lanes_last(
    tmp_path: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = derive_bundle(tmp_path / "bundles" / "newer")
    version = load_bundle(folder).version
    correction = LaneCorrection()
    for _ in range(20):
        correction.learn(Judged("first/llama", "meta/first", 0.8, 0.0, 0.0, datetime.now(UTC).timestamp()))
    add_file(folder, RECENT_SHIFTS_FILE, RecentShifts(version, correction).to_bytes())
    with GatewayThread(tmp_path, servers=servers(provider), bundles=str(folder.parent)) as gateway:
        learn(gateway, monkeypatch)
        assert ask(gateway).headers["x-llmdeal-lane"] == "first/llama"  # the bundle in use knows nothing of it
        judge(folder, load_bundle(SHIPPED_BUNDLE).version)
        gateway.resources.bundle_keeper.promote("newer", "somebody")
        asyncio.run_coroutine_threadsafe(gateway.resources.bundles.refresh(), gateway._loop).result(20)
        moved = ask(gateway)
        assert moved.headers["x-llmdeal-router-version"] == version
        assert moved.headers["x-llmdeal-lane"] == "second/llama"


def test_the_command_shows_what_was_learned_and_its_status_says_whether_an_alarm_rings(
    tmp_path: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with GatewayThread(tmp_path, servers=servers(provider)) as gateway:
        version = gateway.resources.directory.router_version
        database = gateway.resources.engine.url.database
        for _ in range(2):
            answer = ask(gateway)
            feedback = {"request_id": answer.headers["x-llmdeal-request-id"], "metric_name": "thumbs", "value": False}
            httpx.post(f"{gateway.url}/v1/feedback", json=feedback, timeout=30)
        gateway.attempts()
    monkeypatch.setattr("serve.watch.lane_watch._LAG_US", 0)
    monkeypatch.setenv("LLMDEAL_DATABASE", str(database))
    monkeypatch.chdir(tmp_path)
    command_line = build_command_line("watch")
    shown = CliRunner().invoke(command_line, ["watch"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "first/llama" in shown.output
    assert version in shown.output
    assert "No alarm rings." in shown.output
    (tmp_path / "strict.toml").write_text(f"database = {json.dumps(str(database))}\n", encoding="utf-8")
    engine = open_database(str(database))
    alarm = Alarm("default", "price", "first/llama", to_microseconds(datetime.now(UTC)), 50.0, 20.0, "It changed.")
    WatchRepository(engine).save(("prices", "other", ""), 0, {("prices", "other", ""): {}}, alarm.rang_at_us, [alarm])
    engine.dispose()
    rung = CliRunner().invoke(command_line, ["watch", "--quiet", "--config", "strict.toml"], env={"COLUMNS": "200"})
    assert rung.exit_code == 1, rung.output
    assert "alarm price first/llama: It changed." in rung.output


def test_an_accounts_own_correction_decides_for_it(
    tmp_path: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "corrections"
    with GatewayThread(tmp_path, servers=servers(provider), account_corrections=str(folder)) as gateway:
        assert ask(gateway).headers["x-llmdeal-lane"] == "first/llama"
        version, n_trained = (
            gateway.resources.directory.router_version,
            len(gateway.resources.directory.quality_model.trained_names),
        )
        beliefs = np.random.default_rng(0).uniform(0.1, 0.9, (200, n_trained)).astype(np.float32)
        own = AccountCorrection(np.zeros(5), {"first/llama": np.array([-1.0, 0.0, 0.0, 0.0, 0.0])}, 400)
        by_account = {hashed("default", version): own}
        folder.mkdir()
        content = AccountCorrections(version, PromptSpace.of_beliefs(beliefs), by_account).to_bytes()
        (folder / f"{version}.npz").write_bytes(content)
        learn(gateway, monkeypatch)
        answer = ask(gateway)
        assert answer.headers["x-llmdeal-lane"] == "second/llama"
        shifts = {one["lane"]: one["account_shift"] for one in answer.json()["llmdeal"]["candidates"]}
        assert shifts == {"first/llama": -1.0, "second/llama": 0.0}
        row = gateway.attempts()[-1]
        assert row.candidates is not None
        assert row.candidates.account_shift is not None
        assert row.candidates.account_shift.tolist() == [-1.0, 0.0]


def test_a_round_that_another_worker_had_just_now_is_enough(tmp_path: Path, provider: ScriptedProvider) -> None:
    with GatewayThread(tmp_path, servers=servers(provider)) as gateway:
        resources = gateway.resources
        watch: LaneWatch = gateway.background("watch")._lanes
        now_us = to_microseconds(resources.clock.now())
        watch.learn(now_us)
        before = watch._repository.state(("feedback", "", ""))
        watch.learn(now_us + 1_000_000)
        assert watch._repository.state(("feedback", "", "")) == before
