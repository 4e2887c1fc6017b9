"""Accounts, keys, the vault and usage on the command line, next to a running gateway."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from checkout import ROOT
from fakes.gateway_thread import GatewayThread

from serve.identity.virtual_keys import is_well_formed

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayThread]:
    with GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0) as running:
        yield running


@pytest.fixture
def llmdeal(tmp_path: Path) -> Run:
    (tmp_path / "llmdeal.toml").write_text(f'database = "{tmp_path / "llmdeal.db"}"\n')

    def run(*arguments: str, typed: str = "", status: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "COLUMNS": "200",
        }
        environment["PYTHONPATH"] = str(ROOT)
        command = [sys.executable, "-c", "from serve.cli.main import run; run()", *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def ask(gateway: GatewayThread, key: str) -> int:
    body = {"model": "sandbox/small", "messages": [{"role": "user", "content": "hi"}]}
    return httpx.post(
        f"{gateway.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}, timeout=30
    ).status_code


def ask_until(gateway: GatewayThread, key: str, status: int) -> int:
    """A running gateway follows within a second or so."""
    ends_at = time.monotonic() + 15
    while (answered := ask(gateway, key)) != status and time.monotonic() < ends_at:
        time.sleep(0.1)
    return answered


def test_a_running_gateway_follows_the_keys_of_the_command_line(gateway: GatewayThread, llmdeal: Run) -> None:
    key = llmdeal("keys", "issue", "ci", "--tag", "a", "--monthly-usd", "5").stdout.strip()
    assert is_well_formed(key)
    assert ask_until(gateway, key, 200) == 200
    listed = llmdeal("keys").stdout
    assert "ci" in listed
    assert key not in listed
    assert "virtual_key:ci" in llmdeal("budgets").stdout
    newer = llmdeal("keys", "rotate", "ci", "--overlap-hours", "0").stdout.strip()
    assert (ask_until(gateway, key, 401), ask_until(gateway, newer, 200)) == (401, 200)
    gateway.attempts()
    line = next(line for line in llmdeal("usage", "--by", "virtual_key").stdout.splitlines() if " ci " in line)
    assert int(line.split("│")[2]) >= 1  # before the gateway knew the first key, it needed none
    llmdeal("keys", "revoke", "ci")
    assert ask_until(gateway, newer, 401) == 401
    assert "no virtual key" in llmdeal("keys", "revoke", "ci", status=2).stderr
    assert "virtual_key" in llmdeal("usage", "--by", "weather", status=2).stderr


def test_provider_keys_are_taken_in_and_never_shown(llmdeal: Run, tmp_path: Path) -> None:
    stored = llmdeal(
        "provider-keys", "add", "--name", "work", "--base-url", "http://127.0.0.1:1/v1", typed="gsk_canary0123456789\n"
    )
    assert "groq@work" in stored.stdout
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-proj-canary987654\nOPENAI_API_KEY_LAB=sk-proj-canary123456\n")
    assert "would store openai@lab" in llmdeal("provider-keys", "import-env", ".env", "--dry-run").stdout
    assert "openai" not in llmdeal("provider-keys").stdout
    llmdeal("provider-keys", "import-env", ".env")
    assert "left out" in llmdeal("provider-keys", "import-env", ".env").stdout  # they are there already
    llmdeal("provider-keys", "disable", "openai", "--name", "lab")
    listed = llmdeal("provider-keys").stdout
    assert [word in listed for word in ("work", "lab", "…6789", "off")] == [True] * 4
    llmdeal("provider-keys", "remove", "groq", "--name", "work")
    printed = stored.stdout + listed + llmdeal("provider-keys").stdout
    assert "canary" not in printed
    assert "no provider" in llmdeal("provider-keys", "add", "nobody", typed="x" * 20, status=2).stderr


def test_the_master_key_is_replaced(llmdeal: Run, tmp_path: Path) -> None:
    llmdeal("provider-keys", "add", "groq", "--base-url", "http://127.0.0.1:1/v1", typed="gsk_canary0123456789\n")
    file = tmp_path / "config" / "llmdeal" / "master.key"
    old, new = file.read_text().strip(), llmdeal("vault", "new-master-key").stdout.strip()
    file.write_text(f"{new},{old}")
    assert "1 data keys" in llmdeal("vault", "rewrap").stdout
    file.write_text(new)
    assert "unknown" in llmdeal("provider-keys", "test", "groq").stdout  # the key opens; the address does not answer
    file.write_text(old)
    assert "another master key" in llmdeal("provider-keys", "test", "groq", status=2).stderr
    file.write_text(new)
    assert "Shredded" in llmdeal("vault", "shred", "default", "--yes").stdout
    assert "shredded" in llmdeal("provider-keys", "test", "groq", status=2).stderr


def test_accounts_are_opened_and_people_added(llmdeal: Run) -> None:
    llmdeal("accounts", "open", "acme", "--time-zone", "Europe/Berlin")
    llmdeal(
        "accounts",
        "add",
        "acme",
        "ann@example.com",
        "--role",
        "owner",
        typed="correct horse battery\ncorrect horse battery\n",
    )
    assert "ann@example.com (owner)" in llmdeal("accounts").stdout
    assert "at least one owner" in llmdeal("accounts", "remove", "acme", "ann@example.com", status=2).stderr
    for wrong in (
        ("open", "acme"),
        ("open", "Not A Name"),
        ("open", "x", "--time-zone", "Mars/Phobos"),
        ("add", "nowhere", "a@b.c"),
        ("close", "default"),
    ):
        llmdeal("accounts", *wrong, status=2)
    assert "features at most" in llmdeal("accounts", "content", "acme", "features").stdout
    assert "features" in llmdeal("accounts").stdout
    assert "as much as the gateway logs" in llmdeal("accounts", "content", "acme", "gateway").stdout
    assert "is none of none, features, full, gateway" in llmdeal("accounts", "content", "acme", "much", status=2).stderr
    assert "no account" in llmdeal("accounts", "forget", "nowhere", "--yes", status=2).stderr
    llmdeal("accounts", "forget", "acme", typed="n\n", status=1)
    assert "of 0 attempts until" in llmdeal("accounts", "forget", "acme", "--all", typed="y\n").stdout
    llmdeal("accounts", "close", "acme")
    assert "closed" in llmdeal("accounts").stdout
