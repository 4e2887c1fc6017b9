"""Starts the real gateway with its command, in front of one server that answers for the world's models."""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from training.errors import SettingsError
from training.simulate.world import PROVIDER, World

_COMMAND = (sys.executable, "-c", "from serve.cli.main import run; run()")
_LISTENS = re.compile(r"listens on (http://\S+)/v1")
_WITHIN_S = 90.0
_POLL_S = 0.05


class GatewayProcess:
    """A gateway on a free port while the `with` block runs; all of its files are below `folder`.

    Args:
        folder: Folder for its settings, database and log.
        world: World that defines the lanes.
        day: Day of the world; decides lanes and prices.
        bundle_folder: Folder of the bundle that it routes with.
        upstream_url: Address of the server that answers for the lanes.
    """

    def __init__(self, folder: Path, world: World, day: int, bundle_folder: Path, upstream_url: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._settings = folder / "llmdeal.toml"
        self._settings.write_text(_settings(folder, world, day, bundle_folder, upstream_url), encoding="utf-8")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.endswith("_API_KEY") and not name.startswith("LLMDEAL_")
        }
        self._environment = kept | {
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_DATA_HOME": str(folder / "data"),
            "COLUMNS": "200",
        }
        self._log = folder / "gateway.log"

    def export(self, out: Path) -> None:
        """Write all logs, as `llmdeal export` does.

        Raises:
            SettingsError: The export failed; the message quotes its output.
        """
        arguments = ("export", "--since", "30d", "--out", str(out), "--config", str(self._settings))
        done = subprocess.run(
            (*_COMMAND, *arguments), env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SettingsError(f"llmdeal export failed: {done.stderr.strip()[-500:]}")

    def post(self, path: str, body: Mapping[str, Any]) -> tuple[Mapping[str, str], Any]:
        """Send a request; return the headers and the body of the answer.

        Raises:
            SettingsError: The gateway refused.
        """
        self._connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 300:
            raise SettingsError(
                f"the gateway answered {response.status} to {path}: {content.decode(errors='replace')[:500]}"
            )
        return dict(response.getheaders()), json.loads(content) if content else None

    def __enter__(self) -> Self:
        with self._log.open("ab") as output:
            begin = output.tell()
            self._process = subprocess.Popen(
                (*_COMMAND, "serve", "--config", str(self._settings), "--port", "0", "--log-level", "error"),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _WITHIN_S
        while not (match := _LISTENS.search(log := self._log.read_bytes()[begin:].decode(errors="replace"))):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                self._process.wait()
                raise SettingsError(f"the gateway did not start: {' '.join(log.split())[-500:]}")
            time.sleep(_POLL_S)
        address = urlsplit(match[1])
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._process.terminate()
        try:
            self._process.wait(_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


def _settings(folder: Path, world: World, day: int, bundle_folder: Path, upstream_url: str) -> str:
    scenario = world.scenario
    general: list[tuple[str, Any]] = [
        ("database", str(folder / "llmdeal.db")),
        ("bundle", str(bundle_folder.absolute())),
        ("sandbox", "off"),
        ("telemetry_content", "full"),
        ("willingness_to_pay_usd", scenario.worth_usd),
        ("seed", scenario.seed + day),
    ]
    exploration = [
        ("share", scenario.exploration_share),
        ("monthly_ceiling_usd", f"{scenario.exploration_ceiling_usd:.9f}"),
        ("quality_bar", scenario.exploration_bar),
        ("most_lanes", scenario.exploration_lanes),
    ]
    parts = [_lines(general), *(["[exploration]", _lines(exploration)] if scenario.exploration_share else [])]
    parts += ["[[servers]]", _lines([("id", PROVIDER), ("base_url", upstream_url)])]
    for lane in world.lanes(day, None):
        model = [
            ("upstream_model", lane.upstream_model),
            ("vendor_model", lane.vendor_model),
            ("trained_name", lane.trained_name),
            ("input_usd_per_mtok", f"{lane.price.input_usd_per_mtok:f}"),
            ("output_usd_per_mtok", f"{lane.price.output_usd_per_mtok:f}"),
            ("context_tokens", lane.context_tokens),
        ]
        parts += ["[[servers.models]]", _lines(model)]
    return "\n".join(parts) + "\n"


def _lines(values: Sequence[tuple[str, Any]]) -> str:
    # JSON's strings and numbers are also valid TOML.
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in values)
