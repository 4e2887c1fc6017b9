"""A model that the bundle does not know is asked, graded and placed, and the gateway routes by what was found."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from checkout import SHIPPED_BUNDLE
from fakes.derived_bundle import derive_bundle
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider, completion, refuse

from serve.bundles.bundle_keeper import BundleKeeper
from serve.bundles.history import BundleHistory
from serve.bundles.store import BundleStore
from serve.clock import SystemClock
from serve.errors import ConfigurationError
from serve.identity.audit_repository import AuditRepository
from serve.jobs.calibrate.job import CalibrationResult, plan_calibration, run_calibration
from serve.packaged_files import data_dir
from serve.settings import Settings
from serve.storage.database import open_database
from training.question_bank.bank import solved_questions

pytestmark = pytest.mark.slow
LLMDEAL = [sys.executable, "-c", "from serve.cli.main import run; run()"]
NOTHING: Mapping[str, str] = {}
BANK = data_dir() / "calibration" / "questions.jsonl"
SOLUTIONS = {question["prompt"]: solution for question, solution in solved_questions()}


async def know(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer every question rightly."""
    answer = completion(body["model"])
    answer["choices"][0]["message"]["content"] = SOLUTIONS[body["messages"][-1]["content"]]
    return web.json_response(answer)


async def guess(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer every question wrongly."""
    answer = completion(body["model"])
    answer["choices"][0]["message"]["content"] = "Answer: who knows"
    return web.json_response(answer)


def settings_for(provider: ScriptedProvider, folder: Path) -> Settings:
    served = [
        {"upstream_model": "newcomer", "input_usd_per_mtok": "0.1", "output_usd_per_mtok": "0.4"},
        {
            "upstream_model": "known",
            "input_usd_per_mtok": "2.5",
            "output_usd_per_mtok": "10",
            "trained_name": "gpt-4o-2024-08-06",
        },
    ]
    return Settings.model_validate(
        {
            "database": str(folder / "llmdeal.db"),
            "calibrations": str(folder / "calibrations"),
            "sandbox": "off",
            "servers": [{"id": "mine", "base_url": provider.base_url, "models": served}],
        }
    )


def calibrate(
    provider: ScriptedProvider, settings: Settings, count: int = 30, environment: Mapping[str, str] = NOTHING
) -> CalibrationResult:
    plan = plan_calibration(settings, environment, SystemClock(), "mine/newcomer", "", count, BANK)
    return asyncio.run(run_calibration(plan, settings, environment, SystemClock(), 500, 0.01, lambda: None))


@pytest.mark.parametrize(("behaviour", "is_better"), [(know, True), (guess, False)])
def test_answers_decide_where_a_model_stands(behaviour: Any, is_better: bool, tmp_path: Path) -> None:
    with ScriptedProvider(script=[behaviour] * 30) as provider:
        result = calibrate(provider, settings_for(provider, tmp_path))
    assert [each.score for each in result.asked] == [float(is_better)] * 30
    assert (result.after.quality > result.before.quality + 0.1) == is_better
    assert (result.after.chosen_share > result.before.chosen_share) == is_better
    assert result.after.logit_std < result.before.logit_std
    kept = json.loads(result.path.read_text())
    assert len(kept["answers"]) == 30
    assert kept["vendor_model"] == "mine/newcomer"


def test_the_gateway_routes_by_what_was_found(tmp_path: Path) -> None:
    with ScriptedProvider(script=[know] * 30) as provider:
        settings = settings_for(provider, tmp_path)
        calibrate(provider, settings)
        with GatewayThread(tmp_path, **settings.model_dump(include={"servers", "calibrations"})) as gateway:
            body = {"model": "smart-route", "messages": [{"role": "user", "content": "What is 17 * 23?"}]}
            candidates = httpx.post(f"{gateway.url}/v1/route", json=body).json()["candidates"]
    basis = {candidate["lane"]: candidate["quality_basis"] for candidate in candidates}
    assert basis == {"mine/newcomer": "calibrated", "mine/known": "trained"}


def bases(gateway: GatewayThread) -> dict[str, str]:
    """Return what the gateway says now about the source of each lane's quality."""
    body = {"model": "smart-route", "messages": [{"role": "user", "content": "What is 17 * 23?"}]}
    candidates = httpx.post(f"{gateway.url}/v1/route", json=body).json()["candidates"]
    return {candidate["lane"]: candidate["quality_basis_text"] for candidate in candidates}


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_for(gateway: GatewayThread, basis: str) -> None:
    """Return once the newcomer's quality has this source."""
    wait_until(lambda: bases(gateway)["mine/newcomer"] == basis)


def test_a_running_gateway_follows_the_files_of_graded_answers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    today = SystemClock().now().date()
    with ScriptedProvider(script=[know] * 20) as provider:
        settings = settings_for(provider, tmp_path)
        with GatewayThread(tmp_path, **settings.model_dump(include={"servers", "calibrations"})) as gateway:
            assert bases(gateway) == {"mine/newcomer": "prior", "mine/known": "trained"}
            result = calibrate(provider, settings, count=20)
            wait_for(gateway, f"own grades (20 answers, {today})")

            # A spoilt file changes nothing, and is named in the log.
            spoilt = result.path.with_name("spoilt.json")
            spoilt.write_text("{}")
            wait_until(lambda: "spoilt.json: is no calibration" in caplog.text)
            assert bases(gateway)["mine/newcomer"] == f"own grades (20 answers, {today})"

            spoilt.unlink()
            result.path.unlink()
            wait_for(gateway, "prior")


def test_graded_answers_say_nothing_of_another_effort(tmp_path: Path) -> None:
    derive_bundle(tmp_path / "bundles" / "efforts", adds={"mine/newcomer@high": "o1-preview-2024-09-12"})
    today = SystemClock().now().date()
    with ScriptedProvider(script=[know] * 12) as provider:
        served = settings_for(provider, tmp_path).model_dump(mode="json", include={"servers", "calibrations"})
        served["servers"][0]["models"][0] |= {"capabilities": ["reasoning"], "efforts": ["high"]}
        with GatewayThread(tmp_path, **served) as gateway:
            keeper = gateway.resources.bundle_keeper
            keeper.try_shadow("efforts", "test")
            wait_until(lambda: "mine/newcomer:high" in bases(gateway))
            calibrate(provider, settings_for(provider, tmp_path), count=12)
            wait_for(gateway, f"own grades (12 answers, {today})")
            before = bases(gateway)
            keeper.promote("efforts", "test", is_forced=True, note="it knows an effort")
            wait_until(lambda: bases(gateway)["mine/newcomer:high"] == "trained")
            after = bases(gateway)
        assert before == {**after, "mine/newcomer:high": "prior"}
        assert after["mine/newcomer"] == f"own grades (12 answers, {today})"
        served |= {"bundle": str(tmp_path / "bundles" / "efforts"), "database": str(tmp_path / "other.db")}
        settings = Settings.model_validate(served)
        with pytest.raises(ConfigurationError, match="mine/newcomer@high needs no calibration"):
            plan_calibration(settings, NOTHING, SystemClock(), "mine/newcomer:high", "", 10, BANK)


def test_when_nobody_answers_nothing_is_written_and_the_reason_is_said(tmp_path: Path) -> None:
    with ScriptedProvider(script=[refuse(401, "bad key")] * 400) as provider:
        settings = settings_for(provider, tmp_path)
        with pytest.raises(ConfigurationError, match="0 of 30 questions were answered, so nothing was written"):
            calibrate(provider, settings)
    assert not (tmp_path / "calibrations").exists()


def test_a_canary_and_a_shadow_follow_them_too(tmp_path: Path) -> None:
    for name in ("canary", "shadow"):
        derive_bundle(tmp_path / "bundles" / name)
    with ScriptedProvider(script=[know] * 12) as provider:
        settings = settings_for(provider, tmp_path)
        with GatewayThread(tmp_path, **settings.model_dump(include={"servers", "calibrations"})) as gateway:
            engine = open_database(settings.database)
            history = BundleHistory(AuditRepository(engine, lambda: datetime.now(UTC)))
            keeper = BundleKeeper(BundleStore(tmp_path / "bundles", SHIPPED_BUNDLE), history)
            keeper.try_canary("canary", 0.5, "test")
            keeper.try_shadow("shadow", "test")
            follower = gateway.resources.bundles

            def stages_with(basis: str) -> set[str]:
                tables = {
                    stage: live.directories["default"].table
                    for stage, live in follower.at_work().items()
                    if live.directories
                }
                return {
                    stage
                    for stage, table in tables.items()
                    if table.quality_basis(table.index_of["mine/newcomer"]) == basis
                }

            wait_until(lambda: stages_with("prior") == {"canary", "shadow"})
            calibrate(provider, settings, count=12)
            wait_until(lambda: stages_with("calibrated") == {"canary", "shadow"})
            engine.dispose()


def test_a_gateway_whose_callers_need_keys_can_calibrate(tmp_path: Path) -> None:
    with ScriptedProvider(script=[know] * 12) as provider:
        settings = settings_for(provider, tmp_path)
        (tmp_path / "llmdeal.toml").write_text(f"database = {settings.database!r}\n")
        issue = ["keys", "--config", str(tmp_path / "llmdeal.toml"), "issue", "ci"]
        environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
        subprocess.run([*LLMDEAL, *issue], check=True, env=environment, cwd=tmp_path, capture_output=True)
        result = calibrate(provider, settings, count=12, environment=environment)
    assert [each.problem for each in result.asked] == [""] * 12


def test_a_trained_model_needs_no_calibration_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    with ScriptedProvider() as provider:
        settings = settings_for(provider, tmp_path)
        for name, complaint in (("mine/known", "needs no calibration"), ("mine/absent", "no lane is called")):
            with pytest.raises(ConfigurationError, match=complaint):
                plan_calibration(settings, {}, SystemClock(), name, "", 10, BANK)


def test_a_spoilt_calibration_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "calibrations").mkdir()
    (tmp_path / "calibrations" / "x.json").write_text("{}")
    with ScriptedProvider() as provider, pytest.raises(ConfigurationError, match=r"x\.json: is no calibration"):
        plan_calibration(settings_for(provider, tmp_path), {}, SystemClock(), "mine/newcomer", "", 10, BANK)
