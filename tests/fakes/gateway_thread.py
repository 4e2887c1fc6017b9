"""The real gateway under the real server, in a thread of the test process, so that tests can look at what it stored."""

import asyncio
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fastapi import FastAPI

from router.telemetry_schema import AttemptRow
from serve.app import create_app
from serve.gateway import ResourceSet
from serve.process.server import GatewayServer
from serve.settings import Settings


class GatewayThread:
    """A gateway that listens on a free port while the block runs."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None, **settings: Any) -> None:
        values = {"database": str(folder / "llmdeal.db"), "port": 0, "sandbox": "off", **settings}
        own_machine = {"XDG_CONFIG_HOME": str(folder / "config"), **(environment or {})}
        self.app: FastAPI = create_app(Settings.model_validate(values), own_machine)
        self.url = ""
        self._ready = threading.Event()
        self._server = GatewayServer(self.app, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def resources(self) -> ResourceSet:
        resources: ResourceSet = self.app.state.resources
        return resources

    def background(self, part: str) -> Any:
        """Return the object that works in the background under this name."""
        run: Any = self.resources.supervisor.parts[part].run
        return run.__self__

    def _run(self) -> None:
        self._server.install_signal_handlers = lambda: None
        self._server.run_until_stopped(self._announce)

    def _announce(self, url: str) -> None:
        self.url = url
        self._loop = asyncio.get_running_loop()
        self._ready.set()

    def attempts(self) -> list[AttemptRow]:
        """Return every stored attempt, in order, once all that was recorded is stored."""
        asyncio.run_coroutine_threadsafe(self.resources.telemetry.flush(), self._loop).result(10)
        long_ago, far_off = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        return [row for rows in self.resources.attempts.read(long_ago, far_off) for row in rows]

    def finish_checks(self) -> None:
        """Return once every answer given so far is checked."""
        asyncio.run_coroutine_threadsafe(self.background("outcome_checks").flush(), self._loop).result(10)

    def note_lanes(self) -> None:
        """Return once the lanes of this moment are written down."""
        asyncio.run_coroutine_threadsafe(self.background("lane_log").note(), self._loop).result(10)

    def stop_listening(self) -> None:
        """Begin to stop, and return once no new connection is taken."""
        self._server.should_exit = True
        for listener in self._server.servers:
            asyncio.run_coroutine_threadsafe(self._closed(listener), self._loop).result(10)

    @staticmethod
    async def _closed(listener: asyncio.Server) -> None:
        # uvicorn reads its flag every tenth of a second; there is no event to wait for.
        while listener.is_serving():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20), "the gateway did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the gateway did not stop"
