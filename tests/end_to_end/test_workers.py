"""Several worker processes behind one port: on one database, restarted when one dies, stopped together."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from fakes.running_gateway import RunningGateway

from serve.money.budget import BudgetRule
from serve.money.budget_repository import BudgetRepository
from serve.storage.database import open_database

MESSAGES = [{"role": "user", "content": "What is 17 * 23?"}]


@contextmanager
def running(folder: Path, *arguments: str, **environment: str) -> Iterator[RunningGateway]:
    gateway = RunningGateway(folder, *arguments, **environment)
    try:
        yield gateway
    finally:
        gateway.process.terminate()
        gateway.process.wait(60)


def ask(url: str) -> int:
    body = {"model": "smart-route", "messages": MESSAGES, "max_tokens": 10}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=30).status_code


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_share_a_port_and_the_ledger_and_are_replaced_when_they_die(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as gateway:
        url = gateway.url()
        first = gateway.workers()
        assert len(first) == 2
        assert [ask(url) for _ in range(20)] == [200] * 20
        victim = first.pop()
        os.kill(victim, signal.SIGKILL)
        ends_at = time.monotonic() + 60
        while len(gateway.workers() - {victim}) < 2 and time.monotonic() < ends_at:
            time.sleep(0.1)
        assert len(gateway.workers() - {victim}) == 2
        assert {ask(url) for _ in range(10)} == {200}
    assert gateway.process.returncode == 0
    assert "ended (exit code -9)" in gateway.log.read_text()
    repository = BudgetRepository(open_database(str(gateway.database)))
    [(scope, month)] = [
        entry
        for entry in repository.scopes_of(f"{time.gmtime().tm_year}-{time.gmtime().tm_mon:02}")
        if entry[0] == "account:default"
    ]
    [state] = repository.states([(scope, month)])
    assert state.spent_nusd == repository.ledger_total(scope, month) > 0
    assert state.leased_nusd == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_that_die_together_again_and_again_are_replaced_together(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "3") as gateway:
        gateway.url()
        for pause_s in (0.5, 1.0, 2.0):  # each dies young, so the pauses before its next start double
            killed = gateway.workers()
            assert len(killed) == 3
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            while len(gateway.workers() - killed) < 3 and time.monotonic() < began + 30:
                time.sleep(0.02)
            assert len(gateway.workers() - killed) == 3
            # One after the other they would need three times the pause.
            assert time.monotonic() - began < 2 * pause_s + 0.9
    assert gateway.process.returncode == 0
    assert gateway.log.read_text().count("ended (exit code -9)") == 9


def test_a_worker_that_cannot_start_is_said_so_and_ends_all(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2", LLMDEAL_SANDBOX="off") as gateway:
        assert gateway.process.wait(60) == 2
    assert "there is no lane" in gateway.log.read_text()


def test_a_worker_whose_journal_cannot_be_written_names_that_and_not_the_port(tmp_path: Path) -> None:
    (tmp_path / "journals").write_text("in the way", encoding="utf-8")
    for workers in ("1", "2"):
        with running(tmp_path, "--workers", workers) as gateway:
            assert gateway.process.wait(60) == 2
        log = gateway.log.read_text()
        assert "the gateway cannot start: " in log
        assert "cannot listen" not in log


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_worker_that_is_restarted_does_not_undo_a_budget_that_was_set_since(tmp_path: Path) -> None:
    scope = "account:default"
    with running(tmp_path, "--workers", "2", LLMDEAL_MONTHLY_BUDGET_USD="5") as gateway:
        gateway.url()
        engine = open_database(str(gateway.database))
        repository = BudgetRepository(engine)
        repository.set_rule(BudgetRule(scope, 0, ZoneInfo("UTC")))
        first = gateway.workers()
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        ends_at = time.monotonic() + 60
        while (len(gateway.workers() - first) < 2 or ask(gateway.url()) != 402) and time.monotonic() < ends_at:
            time.sleep(0.1)
        assert [rule.cap_nusd for rule in repository.rules() if rule.scope == scope] == [0]
        engine.dispose()


def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as gateway:
        port = gateway.url().rpartition(":")[2]
        (tmp_path / "second").mkdir()
        with running(tmp_path / "second", "--workers", "2", "--port", port) as second:
            assert second.process.wait(60) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in second.log.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as gateway:
        gateway.url()
        workers = gateway.workers()
        gateway.process.kill()
        ends_at = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < ends_at:
            time.sleep(0.1)
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
