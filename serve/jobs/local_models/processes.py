"""Starts and stops the servers of local models, and makes the settings of a gateway in front of them."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from serve.errors import ConfigurationError
from serve.jobs.local_models.llama_server import CONTEXT_TOKENS, ServerTask
from serve.jobs.local_models.model_files import LocalModel, weights_of
from serve.settings import ServerModelSettings, ServerSettings, Settings, load_settings

WORTH_OF_A_GOOD_ANSWER_USD = 0.0001
"""Local answers cost millionths of a dollar. With the usual worth of an answer the better model would always win."""
_START_S = 120.0
_STOP_S = 5.0


@dataclass(slots=True)
class LocalModelProcess:
    """A running server; use it as a context manager.

    Args:
        local_model: Model that it serves.
        process: Process of the server.
        url: Address of the server, without `/v1`.
    """

    local_model: LocalModel
    process: subprocess.Popen[str]
    url: str

    @classmethod
    def start(cls, local_model: LocalModel, port: int = 0) -> "LocalModelProcess":
        """Start a server on `port`, or on a free one, and return once it answers.

        Raises:
            ConfigurationError: A package is missing, or the server did not answer in time.
        """
        task = ServerTask(
            str(weights_of(local_model)), local_model.name, port, local_model.chat_template, local_model.stops
        )
        command = [sys.executable, "-m", ServerTask.__module__, json.dumps(asdict(task))]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        running = cls(local_model, process, "")
        deadline = threading.Timer(_START_S, process.kill)
        deadline.start()
        try:
            # llama.cpp writes lines of its own before ours. A server that fails or is killed closes its output without
            # an address.
            running.url = next((line.strip() for line in process.stdout if line.startswith("http://")), "")
        finally:
            deadline.cancel()
            if not running.url:
                running.stop()
        if not running.url:
            raise ConfigurationError(
                f"{local_model.name}: the server ended with status {process.returncode} before it answered. Check that "
                "its port is free and that enough memory is left."
            )
        return running

    def as_settings(self) -> ServerSettings:
        """Return the server as an entry of the gateway's settings."""
        local_model = self.local_model
        served = ServerModelSettings(
            kind="chat",
            upstream_model=local_model.name,
            vendor_model=local_model.vendor_model,
            input_usd_per_mtok=local_model.usd_per_mtok,
            output_usd_per_mtok=local_model.usd_per_mtok,
            context_tokens=CONTEXT_TOKENS,
            max_output_tokens=None,
            capabilities=("json_object", "json_schema"),
            efforts=(),
            trained_name=None,
            ability=local_model.ability,
            ability_std=local_model.ability_std,
            quirks=None,
        )
        return ServerSettings(
            id=local_model.server_id,
            base_url=f"{self.url}/v1",
            dialect="openai",
            also_speaks=(),
            key=None,
            region=None,
            models=(served,),
        )

    def kill(self) -> None:
        """End the server at once, like a crash."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End the server by closing its input; by force if it does not end in time."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_all(local_models: Sequence[LocalModel], stack: contextlib.ExitStack) -> list[LocalModelProcess]:
    """Start a server for each model; `stack` stops them.

    Raises:
        ConfigurationError: A package is missing, or a server ended before it answered.
    """
    return [stack.enter_context(LocalModelProcess.start(local_model)) for local_model in local_models]


def local_settings(
    config_file: Path | None, environment: Mapping[str, str], port: int | None, servers: Sequence[ServerSettings]
) -> Settings:
    """Return the operator's settings with these servers as the only lanes, so that no provider is called or paid.

    Raises:
        ConfigurationError: A file is missing or malformed, or a value is wrong.
    """
    lanes = {"servers": tuple(servers), "providers": {}, "sandbox": "off"}
    settings = load_settings(config_file, environment, {"port": port, **lanes})
    if "willingness_to_pay_usd" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"willingness_to_pay_usd": WORTH_OF_A_GOOD_ANSWER_USD})
