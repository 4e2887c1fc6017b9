"""Every background part of a real gateway survives an unforeseen error of a collaborator, and is shown as down."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event

from serve.app import create_app
from serve.background.supervisor import Supervisor
from serve.bundles.staging import Standing
from serve.clock import SystemClock
from serve.gateway import ResourceSet, resources_of
from serve.hot_swap.live_bundle import LiveBundle
from serve.settings import Settings

pytestmark = pytest.mark.slow

SETTINGS = {
    "sandbox": "on",
    "sandbox_pace": 0.0,
    "exploration": {"share": 0.5, "monthly_ceiling_usd": "1"},
    "alerts": {"webhook_url": "http://127.0.0.1:9/", "secret": "whsec_" + "A" * 32},
}
LONGEST_S = 15.0


class Defect(BaseException):
    """What no `except Exception` catches."""


class BrokenClock(SystemClock):
    """Raises once in the thread that is named, if one is."""

    thread = ""

    def now(self) -> datetime:
        if threading.current_thread().name == self.thread:
            self.thread = ""
            raise RuntimeError("the clock is broken")
        return datetime.now(UTC)


class OnceBrokenClock(SystemClock):
    """Raises the first time, and notes the next."""

    def __init__(self, works_again: Callable[[], None]) -> None:
        self._works_again = works_again
        self._is_broken = True

    def now(self) -> datetime:
        if self._is_broken:
            self._is_broken = False
            raise RuntimeError("the clock is broken")
        self._works_again()
        return super().now()


class HeldPauses:
    """Pauses of the supervisor, which end when the test says so."""

    def __init__(self) -> None:
        self.asleep = asyncio.Event()
        self.over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asleep.set()
        await self.over.wait()


class BrokenSigner:
    """Cannot fetch credentials the first time."""

    name = "broken"

    def __init__(self, works_again: Callable[[], None]) -> None:
        self._works_again = works_again
        self._is_broken = True

    def sign(self, url: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        return headers

    def refresh(self) -> float:
        if self._is_broken:
            self._is_broken = False
            raise RuntimeError("the signer is broken")
        self._works_again()
        return 3_600.0


class Scene:
    """A gateway whose parts run, without a server in front of it."""

    def __init__(self, app: FastAPI, clock: BrokenClock, pauses: HeldPauses) -> None:
        self.app = app
        self.clock = clock
        self.pauses = pauses
        self.works_again = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway", timeout=30)

    @property
    def resources(self) -> ResourceSet:
        return resources_of(self.app)

    def note_work(self, *ignored: object) -> None:
        self._loop.call_soon_threadsafe(self.works_again.set)

    def break_statement(self, start: str, error: BaseException | None = None) -> None:
        """Let the database driver raise at the next statement that starts like this, and note the one after it."""
        self.note_statement(start, error or RuntimeError("the database is broken"))

    def note_statement(self, start: str, *errors: BaseException) -> None:
        """Note statements that start like this; the first ones raise these errors instead."""
        left = list(errors)

        def look(*arguments: object) -> None:
            if " ".join(str(arguments[2]).split()).startswith(start):
                if left:
                    raise left.pop()
                self.note_work()

        event.listen(self.resources.engine, "before_cursor_execute", look)

    async def ask(self) -> None:
        body = {"model": "smart-route", "messages": [{"role": "user", "content": "What is 17 * 23?"}]}
        answer = await self._client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text

    async def ready(self) -> httpx.Response:
        return await self._client.get("/readyz")

    async def metrics(self) -> list[str]:
        return (await self._client.get("/metrics")).text.splitlines()


def scene_of(folder: Path) -> Scene:
    clock, pauses = BrokenClock(), HeldPauses()
    settings = Settings.model_validate({"database": str(folder / "llmdeal.db"), **SETTINGS})
    app = create_app(settings, {"XDG_CONFIG_HOME": str(folder)}, clock)
    resources = resources_of(app)
    parts = resources.supervisor.parts.values()
    supervisor = Supervisor(parts, resources.metrics, clock, sleep=pauses.sleep)
    app.state.resources = replace(resources, supervisor=supervisor)
    return Scene(app, clock, pauses)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Scene]:
    scene = scene_of(folder)
    async with scene.resources.supervisor:
        yield scene


async def break_identity(scene: Scene) -> None:
    scene.break_statement("SELECT identity_version.number")


async def break_credentials(scene: Scene) -> None:
    directories = scene.resources.routing.directories
    first, *others = directories.operators.connections
    signed = replace(first, signer=BrokenSigner(scene.note_work))
    directories.replace("default", replace(directories.operators, connections=(signed, *others)))


async def break_budgets(scene: Scene) -> None:
    scene.break_statement("SELECT budget_rule.scope")


async def break_telemetry(scene: Scene) -> None:
    scene.break_statement("INSERT INTO attempt", Defect())
    await scene.ask()


async def break_lane_log(scene: Scene) -> None:
    scene.break_statement("INSERT INTO priced_lane")


async def break_bundles(scene: Scene) -> None:
    scene.break_statement("SELECT max(bundle_stage.number)")


async def break_shadow(scene: Scene) -> None:
    scene.break_statement("DELETE FROM shadow_decision")
    resources = scene.resources
    directories = resources.routing.directories.by_account()
    live = LiveBundle(Standing("alike", "alike+1"), resources.bundles.champion.generation, directories)
    resources.bundles._switch.use_shadow(live)


async def break_outcome_checks(scene: Scene) -> None:
    scene.clock.thread = "outcome-checker"
    await scene.ask()
    scene.note_statement("INSERT INTO feedback")


async def break_exploration(scene: Scene) -> None:
    scene.break_statement("INSERT INTO exploration_month")


async def break_idempotency(scene: Scene) -> None:
    scene.break_statement("DELETE FROM idempotent_request")


async def break_watch(scene: Scene) -> None:
    scene.break_statement("SELECT watch_state.kind")


async def break_alerts(scene: Scene) -> None:
    scene.break_statement("SELECT budget_alert.scope")


async def break_prices(scene: Scene) -> None:
    scene.resources.prices._clock = OnceBrokenClock(scene.note_work)


BREAKS = {
    "identity": break_identity,
    "credentials": break_credentials,
    "budgets": break_budgets,
    "telemetry": break_telemetry,
    "lane_log": break_lane_log,
    "bundles": break_bundles,
    "prices": break_prices,
    "shadow": break_shadow,
    "outcome_checks": break_outcome_checks,
    "exploration": break_exploration,
    "idempotency": break_idempotency,
    "watch": break_watch,
    "alerts": break_alerts,
}


def test_every_part_that_works_in_the_background_is_tested_here(tmp_path: Path) -> None:
    async def names() -> set[str]:
        parts = scene_of(tmp_path).resources.supervisor.parts.values()
        return {part.name for part in parts if part.run is not None}

    assert asyncio.run(names()) == set(BREAKS)


def test_a_part_closes_before_what_it_uses(tmp_path: Path) -> None:
    async def names() -> list[str]:
        return list(scene_of(tmp_path).resources.supervisor.parts)

    order = asyncio.run(names())  # of the start; parts close in reverse
    assert order[0] == "database"
    for part, used in (
        ("budgets", "transport_0"),
        ("budgets", "rate_limits"),
        ("budgets", "alerts"),
        ("telemetry", "budgets"),
        ("shadow", "telemetry"),
        ("outcome_checks", "telemetry"),
        ("exploration", "outcome_checks"),
    ):
        assert order.index(used) < order.index(part), (part, used)


@pytest.mark.parametrize("part", BREAKS)
def test_a_part_that_an_unforeseen_error_ends_is_seen_and_works_again(part: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as scene:
            await BREAKS[part](scene)
            await asyncio.wait_for(scene.pauses.asleep.wait(), LONGEST_S)
            ready = await scene.ready()
            assert ready.status_code == 503
            assert {name for name, is_well in ready.json()["checks"].items() if not is_well} == {f"background_{part}"}
            assert f'llmdeal_background_up{{part="{part}"}} 0.0' in await scene.metrics()
            scene.works_again.clear()
            scene.pauses.over.set()
            if part == "outcome_checks":
                await scene.ask()
            await asyncio.wait_for(scene.works_again.wait(), LONGEST_S)
            assert (await scene.ready()).json()["checks"] == {"lanes": True, "quality_model": True, "database": True}
            metrics = await scene.metrics()
            assert f'llmdeal_background_up{{part="{part}"}} 1.0' in metrics
            assert f'llmdeal_background_restarts_total{{part="{part}"}} 1.0' in metrics

    asyncio.run(scenario())
