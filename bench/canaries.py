"""Canary keys: unique secrets go through every error path of a gateway.

Then everything that the gateway wrote or answered is searched for them.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pyarrow.parquet as pq
from sqlalchemy import select

from bench.echoing_upstream import ANSWERS, EchoingUpstream
from bench.gateway_process import GatewayProcess
from bench.processes import free_port
from serve.identity.virtual_keys import issue_virtual_key
from serve.storage.database import open_database
from serve.storage.tables import METADATA

_DOORS: Final = {"/v1/chat/completions": "messages", "/v1/messages": "messages", "/v1/responses": "input"}
_COMMAND: Final = (sys.executable, "-c", "from serve.cli.main import run; run()")


@dataclass(frozen=True, slots=True)
class CanaryReport:
    """The result of the search for canaries.

    Args:
        n_keys: Number of canaries.
        n_requests, n_commands: Number of requests, and of commands, that carried them.
        n_sent: Number of provider keys that reached a provider, as they must.
        places: Kinds of places that were searched.
        leaks: Places that contained a canary; empty: no leak.
    """

    n_keys: int
    n_requests: int
    n_commands: int
    n_sent: int
    places: tuple[str, ...]
    leaks: tuple[str, ...]


@dataclass(slots=True)
class _Walk:
    """The texts that the gateway answered or printed: (place, text)."""

    canaries: dict[str, str]
    client: httpx.Client
    texts: list[tuple[str, str]] = field(default_factory=list)
    n_requests: int = 0
    n_commands: int = 0

    def request(self, method: str, url: str, shown: str, **others: Any) -> httpx.Response:
        answer = self.client.request(method, url, **others)
        self.n_requests += 1
        self.texts.append((f"answer to {shown}", f"{answer.reason_phrase}\n{answer.headers}\n{answer.text}"))
        return answer

    def command(self, arguments: Sequence[str], environment: dict[str, str], given: str | None = None) -> None:
        done = subprocess.run(
            [*_COMMAND, *arguments],
            input=given,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.n_commands += 1
        self.texts.append((f"output of llmdeal {' '.join(arguments[:2])}", done.stdout + done.stderr))


def walk_canaries(folder: Path) -> CanaryReport:
    """Send canaries everywhere, then search everything that the gateway wrote or answered.

    Args:
        folder: Empty folder; the gateway works in it.
    """
    canaries = _new_canaries()
    walk = _Walk(canaries, httpx.Client(timeout=30))
    home, inputs = folder / "home", folder / "inputs"
    for directory in (home, inputs):
        directory.mkdir(parents=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")},
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "OPENAI_API_KEY": canaries["provider key of the environment"],
        "LLMDEAL_KEYS": canaries["virtual key of the environment"],
    }
    with walk.client, EchoingUpstream() as upstream:
        settings = inputs / "llmdeal.toml"
        settings.write_text(_settings(home, upstream, canaries), encoding="utf-8")
        stored = canaries["stored provider key"] + "\n"
        add = ["provider-keys", "add", "openai", "--name", "stored", "--base-url", upstream.base_url("unauthorised")]
        walk.command([*add, "--config", str(settings)], environment, stored)
        gateway = GatewayProcess(settings, 2, home / "gateway.log", environment, ("--log-level", "debug"))
        with gateway:
            _ask_everything(walk, gateway.url)
            _send_misplaced_keys(walk, gateway.url)
            _look_around(walk, gateway.url)
            for pid in (gateway.pid, *gateway.worker_pids()):
                walk.texts.append(("command line of a process", Path(f"/proc/{pid}/cmdline").read_text()))
        sent = set(upstream.keys)
    _misconfigure(walk, inputs, settings, environment, home)
    written = [*walk.texts, *_files(home), *_rows(home / "llmdeal.db"), *_exported(home / "export")]
    leaks = [f"{name}: {where}" for where, text in written for name, canary in canaries.items() if canary in text]
    places = sorted({where.partition(" ")[0] if where.startswith("answer") else where for where, _ in written})
    return CanaryReport(
        len(canaries), walk.n_requests, walk.n_commands, len(sent & set(canaries.values())), tuple(places), tuple(leaks)
    )


def _new_canaries() -> dict[str, str]:
    """Return name -> new secret.

    Some look like a provider's keys; others have no form that could be recognised.
    """
    return {
        "provider key of the settings": f"canary{secrets.token_hex(16)}",
        "provider key of the environment": f"sk-canary{secrets.token_hex(16)}",
        "stored provider key": f"sk-proj-canary{secrets.token_hex(16)}",
        "provider key that a caller sent": f"sk-ant-canary{secrets.token_hex(16)}",
        "virtual key of the settings": issue_virtual_key("test"),
        "virtual key of the environment": issue_virtual_key("live"),
        "virtual key that is not ours": issue_virtual_key("live"),
        "master key": f"canary{secrets.token_hex(16)}",
        "password of the database": f"canary{secrets.token_hex(16)}",
    }


def _ask_everything(walk: _Walk, url: str) -> None:
    """Ask every provider that repeats its key, at every door, with and without streaming."""
    headers = {"authorization": f"Bearer {walk.canaries['virtual key of the settings']}", "x-llmdeal-explain": "1"}
    models = [f"{name}/llama" for name in (*ANSWERS, "away")] + [
        "openai/gpt-5-mini",
        "openai@stored/gpt-5-mini",
        "smart-route",
    ]
    for model in models:
        for path, field_name in _DOORS.items():
            for is_streaming in (False, True):
                asked = [{"role": "user", "content": "What is 17 * 23?"}]
                body = {"model": model, field_name: asked, "max_tokens": 20, "stream": is_streaming}
                answer = walk.request("POST", f"{url}{path}", f"{path} {model}", json=body, headers=headers)
                if answer.headers.get("x-llmdeal-lane", "").startswith("odd-answer") and answer.status_code == 200:
                    # The gateway passes on an answer unchanged, so it may hold the key. Stored parts are searched.
                    walk.texts.pop()


def _send_misplaced_keys(walk: _Walk, url: str) -> None:
    """Send keys in places where no key belongs."""
    good = {"authorization": f"Bearer {walk.canaries['virtual key of the environment']}"}
    for name in ("virtual key that is not ours", "provider key that a caller sent"):
        key = walk.canaries[name]
        for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}, {"authorization": key}):
            for path in (*_DOORS, "/v1/embeddings", "/v1/route", "/v1/messages/count_tokens"):
                walk.request("POST", f"{url}{path}", path, headers=headers, json={})
            walk.request("GET", f"{url}/admin/v1/accounts", "/admin/v1/accounts", headers=headers)
        for path in (f"/v1/{key}", f"/v1/models/{key}", f"/admin/v1/accounts/{key}", f"/healthz?key={key}"):
            walk.request("GET", f"{url}{path}", "an unknown path", headers=good)
            walk.request("DELETE", f"{url}{path}", "an unknown path", headers=good)
        for path in (*_DOORS, "/v1/embeddings", "/v1/route", "/v1/feedback"):
            for content in (
                f'{{"model": "{key}"',
                f'"{key}"',
                json.dumps({"model": key, "messages": key, "input": key}),
            ):
                walk.request("POST", f"{url}{path}", path, headers=good, content=content)
            for at in ("temperature", "max_tokens", "route", "provider", "tools", "stream", "request_id"):
                asked = {"model": "smart-route", "messages": [{"role": "user", "content": "a"}], "input": "a", at: key}
                walk.request("POST", f"{url}{path}", path, headers=good, json=asked)


def _look_around(walk: _Walk, url: str) -> None:
    """Ask for everything that the gateway reports about itself."""
    headers = {"authorization": f"Bearer {walk.canaries['virtual key of the settings']}"}
    paths = ("/metrics", "/openapi.json", "/v1/models", "/readyz", "/healthz", "/admin/v1/accounts")
    for path in (*paths, "/admin/v1/accounts/default/provider-keys", "/admin/v1/accounts/default/virtual-keys"):
        walk.request("GET", f"{url}{path}", path, headers=headers)
    body = {"provider": "nobody", "name": "x", "key": walk.canaries["provider key that a caller sent"]}
    walk.request("POST", f"{url}/admin/v1/accounts/default/provider-keys", "/admin", headers=headers, json=body)


def _misconfigure(walk: _Walk, inputs: Path, settings: Path, environment: dict[str, str], home: Path) -> None:
    """Run commands that fail because of a secret, and commands that show what is stored."""
    canaries = walk.canaries
    key = canaries["provider key of the settings"]
    for number, text in enumerate(
        (
            f'[providers.openai]\nkey = "{key}\n',
            f'[providers.openai]\nkey = ["{key}"]\n',
            f'[providers.nobody]\nkey = "{key}"\n',
            f'[[virtual_keys]]\nname = "x"\nkey = "{key}"\n',
            f'[[servers]]\nid = "{key}"\nkey = "{key}"\n',
        )
    ):
        file = inputs / f"wrong{number}.toml"
        file.write_text(text, encoding="utf-8")
        walk.command(["serve", "--config", str(file), "--port", "0"], environment)
    wrong = {
        "LLMDEAL_MASTER_KEY": canaries["master key"],
        "LLMDEAL_KEYS": canaries["master key"],
        "LLMDEAL_DATABASE": f"postgresql://me:{canaries['password of the database']}@127.0.0.1:{free_port()}/none",
    }
    for name, value in wrong.items():
        for workers in ("1", "2"):
            walk.command(
                ["serve", "--config", str(settings), "--port", "0", "--workers", workers], {**environment, name: value}
            )
    for arguments in (
        ["provider-keys"],
        ["provider-keys", "test", "openai", "--name", "stored"],
        ["keys"],
        ["budgets"],
        ["route", "Why?"],
        ["export", "--since", "1d", "--out", str(home / "export")],
    ):
        walk.command([*arguments, "--config", str(settings)], environment)
    walk.command(["provider-keys", "add", "--config", str(settings)], environment, key + "\n")


def _files(home: Path) -> Iterator[tuple[str, str]]:
    """Yield the content of every file that the gateway wrote."""
    for path in sorted(home.rglob("*")):
        if path.is_file():
            yield (
                f"file {path.relative_to(home).as_posix().replace('export/', 'export/…')[:24]}",
                path.read_bytes().decode("latin-1"),
            )


def _rows(database: Path) -> Iterator[tuple[str, str]]:
    """Yield every table with all its values as text."""
    engine = open_database(str(database), must_exist=True)
    try:
        with engine.connect() as connection:
            for table in METADATA.sorted_tables:
                rows = [tuple(row) for row in connection.execute(select(table))]
                yield f"table {table.name}", "\n".join(_written_out(row) for row in rows)
    finally:
        engine.dispose()


def _written_out(row: Sequence[object]) -> str:
    return " ".join(value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row)


def _exported(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the rows of the telemetry export, which is compressed on disk."""
    for path in sorted(folder.rglob("*.parquet")):
        yield "rows of the telemetry export", str(pq.read_table(path).to_pylist())


def _settings(home: Path, upstream: EchoingUpstream, canaries: dict[str, str]) -> str:
    lines = [f"database = {json.dumps(str(home / 'llmdeal.db'))}", 'sandbox = "off"', 'telemetry_content = "full"']
    lines += ['[[virtual_keys]]\nname = "owner"\nscopes = ["owner", "inference"]']
    lines += [f'key = "{canaries["virtual key of the settings"]}"']
    lines += [f'[providers.openai]\nbase_url = "{upstream.base_url("unauthorised")}"']
    at = {**{name: upstream.base_url(name) for name in ANSWERS}, "away": f"http://127.0.0.1:{free_port()}/v1"}
    for name, base_url in at.items():
        lines += [
            "[[servers]]",
            f'id = "{name}"',
            f'base_url = "{base_url}"',
            f'key = "{canaries["provider key of the settings"]}"',
        ]
        lines += [
            '[[servers.models]]\nupstream_model = "llama"',
            'input_usd_per_mtok = "0.5"\noutput_usd_per_mtok = "1.5"',
        ]
    return "\n".join(lines) + "\n"
