"""Bundles come and go while the gateway runs: no request notices, and what decides is what the history says."""

import asyncio
import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.derived_bundle import derive_bundle, judge
from fakes.gateway_thread import GatewayThread

from router.bundle import load_bundle
from serve.bundles.bundle_keeper import BundleKeeper
from serve.bundles.gate_keeper import GateKeeper
from serve.bundles.history import BundleHistory
from serve.bundles.staging import StageChange, Standing
from serve.bundles.store import BundleStore
from serve.errors import BadRequestError, ConflictError, NotFoundError
from serve.identity.audit_repository import AuditRepository
from serve.storage.database import open_database

SHIPPED_VERSION = load_bundle(SHIPPED_BUNDLE).version
LLMDEAL = [sys.executable, "-c", "from serve.cli.main import run; run()"]


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles to copy. `contrary` has fewer models in another order, and predicts the opposite of the other."""
    folder = tmp_path_factory.mktemp("derived")
    derive_bundle(folder / "contrary", is_contrary=True, leaves_out=5)
    derive_bundle(folder / "alike", keeps_catalogue=True)
    return folder


@pytest.fixture
def bundles(derived: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "bundles"
    for name in ("contrary", "alike"):
        (folder / name).mkdir(parents=True)
        for file in (derived / name).iterdir():
            (folder / name / file.name).write_bytes(file.read_bytes())
    return folder


def keeper_of(folder: Path) -> BundleKeeper:
    engine = open_database(str(folder / "llmdeal.db"))
    history = BundleHistory(AuditRepository(engine, lambda: datetime.now(UTC)))
    return BundleKeeper(BundleStore(folder / "bundles", SHIPPED_BUNDLE), history)


@pytest.fixture
def keeper(bundles: Path) -> BundleKeeper:
    return keeper_of(bundles.parent)


@pytest.fixture
def gateway(bundles: Path) -> Iterator[GatewayThread]:
    with GatewayThread(bundles.parent, sandbox="on", sandbox_pace=0.0) as running:
        yield running


def ask(gateway: GatewayThread, session: str = "s", client: httpx.Client | None = None) -> httpx.Response:
    body = {
        "model": "smart-route",
        "messages": [{"role": "user", "content": f"What is 17 * 23? {session}"}],
        "max_tokens": 5,
    }
    send = httpx.post if client is None else client.post
    return send(f"{gateway.url}/v1/chat/completions", json=body, headers={"x-session-id": session}, timeout=30)


def version_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["x-llmdeal-router-version"]


def follow(gateway: GatewayThread) -> None:
    """Do now what the gateway does every second."""
    asyncio.run_coroutine_threadsafe(gateway.resources.bundles.refresh(), gateway._loop).result(20)


def wait_until(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < ends_at
        time.sleep(0.05)


def llmdeal(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LLMDEAL_DATABASE": str(folder / "llmdeal.db"), "COLUMNS": "160", "HOME": str(folder)}
    return subprocess.run(
        [*LLMDEAL, "bundle", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def metric(gateway: GatewayThread, line: str) -> bool:
    return line in httpx.get(f"{gateway.url}/metrics").text.splitlines()


def test_a_promoted_bundle_decides_and_is_rolled_back_with_one_command(
    gateway: GatewayThread, keeper: BundleKeeper
) -> None:
    before = ask(gateway)
    judge(keeper.store.folder / "contrary", SHIPPED_VERSION)
    promoted = keeper.promote("contrary", "somebody")
    follow(gateway)
    after = ask(gateway)
    assert [version_of(before), version_of(after)] == [SHIPPED_VERSION, promoted.version]
    assert before.headers["x-llmdeal-lane"] != after.headers["x-llmdeal-lane"]
    decided = httpx.post(
        f"{gateway.url}/v1/route", json={"model": "smart-route", "messages": [{"role": "user", "content": "Hi"}]}
    )
    assert decided.json()["router_version"] == promoted.version
    assert metric(gateway, f'llmdeal_bundle_info{{stage="champion",version="{promoted.version}"}} 1.0')
    assert keeper.rollback("somebody").version == SHIPPED_VERSION
    follow(gateway)
    assert version_of(ask(gateway)) == SHIPPED_VERSION
    logged = Counter(attempt.router_version for attempt in gateway.attempts())
    assert logged == {SHIPPED_VERSION: 2, promoted.version: 1}


@pytest.mark.slow
def test_no_request_fails_while_bundles_are_swapped_under_load(gateway: GatewayThread, keeper: BundleKeeper) -> None:
    is_over = threading.Event()

    def keep_asking(worker: int) -> list[tuple[str, str]]:
        seen = []
        with httpx.Client() as client:
            while not is_over.is_set():
                answer = ask(gateway, f"{worker}-{len(seen)}", client)
                seen.append((answer.headers["x-llmdeal-request-id"], version_of(answer)))
        return seen

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(keep_asking, worker) for worker in range(4)]
        for step in range(6):
            if step % 2:
                keeper.rollback("test")
            else:
                keeper.promote("contrary", "test", is_forced=True, note="a test")
            follow(gateway)
            while_it_decides = version_of(ask(gateway))
            assert while_it_decides.startswith("llmdeal-base-2" if step % 2 else "contrary")
        is_over.set()
        seen = dict(pair for future in asking for pair in future.result())
    assert {version.partition("+")[0] for version in seen.values()} == {"contrary", "llmdeal-base-2"}
    stored = {attempt.request_id: attempt for attempt in gateway.attempts()}
    assert all(stored[request_id].router_version == version for request_id, version in seen.items())
    assert all(attempt.outcome == "ok" for attempt in stored.values())


def test_what_is_known_of_lanes_and_conversations_outlives_a_swap(gateway: GatewayThread, keeper: BundleKeeper) -> None:
    former = gateway.resources.directory
    keeper.promote("contrary", "test", is_forced=True, note="a test")
    follow(gateway)
    present = gateway.resources.directory
    assert present is not former
    assert present.health is former.health
    assert present.warm_caches is former.warm_caches
    assert present.reasoning_affinity is former.reasoning_affinity
    assert present.table.lane_ids == former.table.lane_ids


def test_an_altered_bundle_is_refused_by_a_running_gateway_until_it_is_whole_again(
    gateway: GatewayThread, keeper: BundleKeeper
) -> None:
    graph = keeper.store.folder / "contrary" / "model.onnx"
    whole = graph.read_bytes()
    lanes_lock = gateway.resources.follower.lanes_lock
    asyncio.run_coroutine_threadsafe(lanes_lock.acquire(), gateway._loop).result(
        5
    )  # the gateway does not follow in between
    keeper.promote("contrary", "test", is_forced=True, note="a test")
    graph.write_bytes(whole[:-1] + b"\0")
    gateway._loop.call_soon_threadsafe(lanes_lock.release)
    for _ in range(3):
        follow(gateway)
    assert version_of(ask(gateway)) == SHIPPED_VERSION
    assert httpx.get(f"{gateway.url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{gateway.url}/readyz").status_code == 200
    assert metric(gateway, 'llmdeal_bundle_refused_total{stage="champion"} 1.0')
    graph.write_bytes(whole)
    follow(gateway)
    assert version_of(ask(gateway)).startswith("contrary")


def test_a_bundle_that_was_swapped_in_its_folder_is_not_what_was_promoted(
    gateway: GatewayThread, keeper: BundleKeeper, bundles: Path
) -> None:
    keeper.history.add([StageChange("promote", "champion", Standing("contrary", "contrary+00000000"))], "test", 0)
    follow(gateway)
    assert version_of(ask(gateway)) == SHIPPED_VERSION
    assert "and contrary+00000000 is what was chosen" in gateway.resources.bundles.loader.refused["champion"].problem


@pytest.mark.slow
def test_a_gateway_that_starts_falls_back_along_the_history(bundles: Path, keeper: BundleKeeper) -> None:
    alike = keeper.promote("alike", "test", is_forced=True, note="first")
    keeper.promote("contrary", "test", is_forced=True, note="then")
    (bundles / "contrary" / "tokenizer.json").unlink()
    with GatewayThread(bundles.parent, sandbox="on", sandbox_pace=0.0) as gateway:
        assert version_of(ask(gateway)) == alike.version
    (bundles / "alike" / "manifest.json").write_text("{}")
    with GatewayThread(bundles.parent, sandbox="on", sandbox_pace=0.0) as gateway:
        assert version_of(ask(gateway)) == SHIPPED_VERSION
        assert httpx.get(f"{gateway.url}/readyz").json()["router_version"] == SHIPPED_VERSION


@pytest.mark.slow
def test_a_canary_decides_its_share_of_the_conversations_and_keeps_them(
    gateway: GatewayThread, keeper: BundleKeeper
) -> None:
    canary = keeper.try_canary("contrary", 0.3, "test")
    follow(gateway)
    n = 200
    with httpx.Client() as client:
        rounds = [[version_of(ask(gateway, f"talk {number}", client)) for number in range(n)] for _ in range(2)]
    assert rounds[0] == rounds[1]
    taken = rounds[0].count(canary.version)
    assert set(rounds[0]) == {canary.version, SHIPPED_VERSION}
    assert abs(taken - 0.3 * n) < 4 * (0.3 * 0.7 * n) ** 0.5
    keeper.try_canary("contrary", 0.6, "test")
    follow(gateway)
    with httpx.Client() as client:
        grown = [version_of(ask(gateway, f"talk {number}", client)) for number in range(n)]
    assert all(
        later == canary.version for before, later in zip(rounds[0], grown, strict=True) if before == canary.version
    )
    assert grown.count(canary.version) > taken
    keeper.stop("test")
    follow(gateway)
    assert version_of(ask(gateway, "talk 1")) == SHIPPED_VERSION
    drawn = [attempt for attempt in gateway.attempts() if attempt.router_version == canary.version]
    assert all(attempt.propensity == 1.0 for attempt in drawn)


@pytest.mark.slow
def test_a_shadow_is_asked_and_not_heard(gateway: GatewayThread, keeper: BundleKeeper, bundles: Path) -> None:
    shadow = keeper.try_shadow("contrary", "test")
    follow(gateway)
    with httpx.Client() as client:
        assert {version_of(ask(gateway, f"talk {number}", client)) for number in range(40)} == {SHIPPED_VERSION}
        pinned = {"model": "sandbox/small", "messages": [{"role": "user", "content": "Hi"}]}
        assert client.post(f"{gateway.url}/v1/chat/completions", json=pinned).status_code == 200
        assert client.post(f"{gateway.url}/v1/route", json={**pinned, "model": "smart-route"}).status_code == 200
    assert metric(gateway, f'llmdeal_bundle_info{{stage="shadow",version="{shadow.version}"}} 1.0')
    keeper.try_shadow("alike", "test")
    follow(gateway)
    asyncio.run_coroutine_threadsafe(gateway.resources.bundles.close(), gateway._loop).result(20)
    repository = gateway.resources.shadow_decisions
    wait_until(lambda: bool(repository.summaries(shadow.version)))
    [contrary] = repository.summaries(shadow.version)
    assert (contrary.n_requests, contrary.champion_version) == (40, SHIPPED_VERSION)
    assert contrary.agreement < 0.5
    assert contrary.quality >= contrary.quality_of_champions_lane
    assert 0 < contrary.decision_us <= contrary.slow_decision_us < 1e6
    assert metric(gateway, 'llmdeal_shadow_requests_total{outcome="scored"} 40.0')
    assert {attempt.router_version for attempt in gateway.attempts()} == {SHIPPED_VERSION}
    shown = llmdeal(bundles.parent, "show", "contrary").stdout
    assert f"next to {SHIPPED_VERSION}, on 40 requests" in shown


def test_a_shadow_of_the_same_beliefs_agrees(gateway: GatewayThread, keeper: BundleKeeper) -> None:
    shadow = keeper.try_shadow("alike", "test")
    follow(gateway)
    for number in range(10):
        ask(gateway, f"talk {number}")
    asyncio.run_coroutine_threadsafe(gateway.resources.bundles.close(), gateway._loop).result(20)
    [alike] = gateway.resources.shadow_decisions.summaries(shadow.version)
    assert (alike.n_requests, alike.agreement) == (10, 1.0)
    assert alike.quality == pytest.approx(alike.champion_quality)
    assert alike.cost_usd == pytest.approx(alike.champion_cost_usd)


def test_what_the_gate_says_is_what_a_promotion_needs(keeper: BundleKeeper, bundles: Path) -> None:
    with pytest.raises(ConflictError, match="never judged against the champion llmdeal-base-2"):
        keeper.promote("contrary", "test")
    judge(bundles / "contrary", SHIPPED_VERSION, is_better=False)
    with pytest.raises(ConflictError, match="not better than the champion, says the gate: The gain may be below zero"):
        keeper.promote("contrary", "test")
    judge(bundles / "contrary", "another+1")
    with pytest.raises(ConflictError, match=r"judged against another\+1, and the champion is llmdeal-base-2"):
        keeper.promote("contrary", "test")
    with pytest.raises(BadRequestError, match="needs a note"):
        keeper.promote("contrary", "test", is_forced=True)
    with pytest.raises(NotFoundError, match=r"no bundle '\.\./contrary'"):
        keeper.promote("../contrary", "test", is_forced=True, note="up")
    with pytest.raises(ConflictError, match="nothing was promoted"):
        keeper.rollback("test")
    with pytest.raises(ConflictError, match="is the champion already"):
        keeper.promote(SHIPPED_BUNDLE.name, "test", is_forced=True, note="again")
    assert keeper.history.entries() == []
    judge(bundles / "contrary", SHIPPED_VERSION)
    keeper.promote("contrary", "test")
    [entry] = keeper.history.entries()
    assert entry.change.verdict is not None
    assert entry.change.verdict["utility_gain_usd"] == [0.0004, 0.0001, 0.0007]


def test_rollbacks_go_back_one_champion_each(keeper: BundleKeeper) -> None:
    contrary = keeper.promote("contrary", "test", is_forced=True, note="1")
    keeper.try_canary("alike", 0.1, "test")
    alike = keeper.promote("alike", "test", is_forced=True, note="2")
    assert keeper.staging().canary is None  # the canary became the champion
    assert [keeper.rollback("test").version, keeper.rollback("test").version] == [contrary.version, SHIPPED_VERSION]
    assert keeper.staging().champion is None
    again = keeper.promote("alike", "test", is_forced=True, note="3")
    assert (again, keeper.staging().promoted) == (alike, (alike,))


@pytest.mark.slow
def test_of_many_who_see_the_same_history_one_adds_to_it(keeper: BundleKeeper, bundles: Path) -> None:
    judge(bundles / "contrary", SHIPPED_VERSION)
    gates = [GateKeeper(keeper_of(bundles.parent)) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda gate: gate.promote_the_better(SHIPPED_VERSION), gates))
    assert outcomes.count(True) == 1
    assert [(entry.number, entry.actor, entry.change.action) for entry in keeper.history.entries()] == [
        (1, "gateway", "auto-promote")
    ]


@pytest.mark.slow
def test_a_gated_gateway_promotes_by_itself_but_never_what_was_rolled_back(bundles: Path, keeper: BundleKeeper) -> None:
    with GatewayThread(bundles.parent, sandbox="on", sandbox_pace=0.0, promotion="gated") as gateway:
        follow(gateway)
        assert version_of(ask(gateway)) == SHIPPED_VERSION
        judge(bundles / "alike", "another+1")
        judge(bundles / "contrary", SHIPPED_VERSION)
        follow(gateway)
        assert version_of(ask(gateway)).startswith("contrary")
        keeper.rollback("somebody")
        judge(bundles / "contrary", SHIPPED_VERSION)
        for _ in range(2):
            follow(gateway)
        assert version_of(ask(gateway)) == SHIPPED_VERSION


@pytest.mark.slow
def test_the_command_line_shows_promotes_and_says_why_not(bundles: Path) -> None:
    folder = bundles.parent
    refused = llmdeal(folder, "promote", "contrary")
    assert (refused.returncode, "never judged" in refused.stderr) == (2, True)
    judge(bundles / "contrary", SHIPPED_VERSION)
    assert "contrary+" in llmdeal(folder, "promote", "contrary", "--note", "Monday's").stdout
    assert "decides 20.0%" in llmdeal(folder, "canary", "alike", "--share", "0.2").stdout
    listed = llmdeal(folder, "list").stdout
    assert "canary 20%" in listed
    assert "better than llmdeal-base-2" in listed
    assert "promote contrary+" in listed
    shown = llmdeal(folder, "show", "contrary").stdout
    assert "stands as champion" in shown
    assert "gain      +0.000400 USD a request, between +0.000100 and +0.000700" in shown
    assert "alike" in llmdeal(folder, "stop").stdout
    assert SHIPPED_VERSION in llmdeal(folder, "rollback").stdout
    (bundles / "alike" / "manifest.json").write_text("{}")
    assert "refused" in llmdeal(folder, "list").stdout


@pytest.mark.slow
def test_all_workers_follow(bundles: Path) -> None:
    folder = bundles.parent
    judge(bundles / "contrary", SHIPPED_VERSION)
    settings = {"LLMDEAL_DATABASE": str(folder / "llmdeal.db"), "LLMDEAL_SANDBOX": "on", "LLMDEAL_SANDBOX_PACE": "0"}
    environment = {**os.environ, **settings, "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    log = folder / "serve.log"
    command = [*LLMDEAL, "serve", "--port", "0", "--workers", "2", "--log-level", "warning"]
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env=environment, cwd=folder)
    try:
        ends_at = time.monotonic() + 60
        while (match := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())) is None:
            assert time.monotonic() < ends_at, log.read_text()
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        url = f"{match[0]}/readyz"

        def versions() -> set[str]:
            return {
                httpx.get(url, timeout=30).json()["router_version"] for _ in range(24)
            }  # each on a new connection, to either worker

        for arguments, decides in ((("promote", "contrary"), "contrary"), (("rollback",), "llmdeal-base-2")):
            assert llmdeal(folder, *arguments).returncode == 0
            ends_at = time.monotonic() + 20
            while {version.partition("+")[0] for version in versions()} != {decides}:
                assert time.monotonic() < ends_at, "a worker did not follow"
                time.sleep(0.1)
        assert log.read_text().count("decides from now on") == 4
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_a_promotion_that_is_killed_happened_or_did_not(bundles: Path, keeper: BundleKeeper) -> None:
    script = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from serve.bundles.bundle_keeper import BundleKeeper; from serve.bundles.store import BundleStore\n"
        "from serve.identity.audit_repository import AuditRepository; from serve.bundles.history import BundleHistory\n"
        "from serve.storage.database import open_database\n"
        "folder = Path(sys.argv[1]); engine = open_database(str(folder / 'llmdeal.db'))\n"
        "history = BundleHistory(AuditRepository(engine, lambda: datetime.now(UTC)))\n"
        "keeper = BundleKeeper(BundleStore(folder / 'bundles', Path(sys.argv[2])), history)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    keeper.promote('contrary', 'victim', is_forced=True, note='once more'); keeper.rollback('victim')\n"
    )
    for patience_s in (0.0, 0.11, 0.23):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(bundles.parent), str(SHIPPED_BUNDLE)],
            stdout=subprocess.PIPE,
            env={**os.environ},
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(patience_s)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        process.stdout.close()
        entries = keeper.history.entries()
        assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        audit = AuditRepository(open_database(str(bundles.parent / "llmdeal.db")), lambda: datetime.now(UTC))
        assert len([entry for entry in audit.entries(None, limit=1_000) if entry.action.startswith("bundle.")]) == len(
            entries
        )
        if keeper.staging().promoted:
            keeper.rollback("test")
    assert keeper.promote("contrary", "test", is_forced=True, note="alive").bundle == "contrary"


@pytest.mark.slow
def test_a_bundle_that_was_swapped_out_is_let_go(gateway: GatewayThread, keeper: BundleKeeper) -> None:
    former = weakref.ref(gateway.resources.bundles.champion.generation.quality_model)
    ask(gateway)
    keeper.promote("contrary", "test", is_forced=True, note="a test")
    follow(gateway)
    assert version_of(ask(gateway, "another")).startswith("contrary")

    def is_let_go() -> bool:
        gc.collect()
        return former() is None

    wait_until(is_let_go)


def test_lanes_that_change_while_bundles_are_tried_are_laid_out_for_all_of_them(
    gateway: GatewayThread, keeper: BundleKeeper
) -> None:
    keeper.try_canary("contrary", 0.999999, "test")
    keeper.try_shadow("alike", "test")
    follow(gateway)
    bundles, follower = gateway.resources.bundles, gateway.resources.follower
    former = gateway.resources.directory
    key = {"provider": "groq", "key": "gsk_" + "a" * 52}
    stored = httpx.post(f"{gateway.url}/admin/v1/accounts/default/provider-keys", json=key, timeout=30)
    assert stored.status_code == 201, stored.text
    asyncio.run_coroutine_threadsafe(follower.refresh(), gateway._loop).result(20)
    follow(gateway)
    present = gateway.resources.directory
    assert present.connections is not former.connections
    for live in bundles.at_work().values():
        if live.directories:
            assert live.directories["default"].connections is present.connections
            assert live.directories["default"].health is present.health
    keeper.promote("contrary", "test", is_forced=True, note="a test")
    follow(gateway)
    assert any(lane.provider == "groq" for lane in gateway.resources.directory.table.lanes)


@pytest.mark.slow
def test_a_stream_that_is_under_way_ends_as_it_began(bundles: Path, keeper: BundleKeeper) -> None:
    body = {
        "model": "smart-route",
        "messages": [{"role": "user", "content": "Count."}],
        "stream": True,
        "max_tokens": 300,
        "stream_options": {"include_usage": True},
    }
    with GatewayThread(bundles.parent, sandbox="on", sandbox_pace=2.0) as gateway, httpx.Client(timeout=60) as client:
        with client.stream("POST", f"{gateway.url}/v1/chat/completions", json=body) as stream:
            events = stream.iter_lines()
            assert next(events).startswith("data:")
            promoted = keeper.promote("contrary", "test", is_forced=True, note="a test")
            follow(gateway)
            assert httpx.get(f"{gateway.url}/readyz").json()["router_version"] == promoted.version
            assert [line for line in events if line][-1] == "data: [DONE]"
            assert stream.headers["x-llmdeal-router-version"] == SHIPPED_VERSION
        [attempt] = gateway.attempts()
    assert (attempt.outcome, attempt.router_version) == ("ok", SHIPPED_VERSION)
    assert attempt.candidates is not None
