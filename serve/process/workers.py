"""Several worker processes behind one address: started together, restarted when one dies, stopped together."""

import contextlib
import io
import logging
import math
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Final

from serve.errors import ConfigurationError
from serve.settings import Settings

_log = logging.getLogger("llmdeal.workers")
_BACKLOG: Final = 4096
_START_S: Final = 120.0
_STOP_S: Final = 45.0
_LEAST_LIFE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 30.0
_LOOK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What a worker receives when it starts.

    Args:
        settings: Settings of the gateway.
        log_level: Least level to log, as on the command line.
        listener: Socket that all workers accept from.
        number: Number of the worker, from 0.
    """

    settings: Settings
    log_level: str
    listener: socket.socket
    number: int


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    started: float


class WorkerPool:
    """Runs the gateway in several processes.

    They are spawned, not forked, because threads and event loops do not survive a fork. All accept from one socket, so
    a worker that dies takes only its own connections with it.

    Args:
        settings: Settings of the gateway; `workers` is the number of processes.
        log_level: Least level that each worker logs.
    """

    def __init__(self, settings: Settings, log_level: str) -> None:
        self._settings = settings
        self._log_level = log_level
        self._spawning = multiprocessing.get_context("spawn")
        self._workers: dict[int, _Worker] = {}
        self._pauses: dict[int, float] = {}
        self._due: dict[int, float] = {}
        self._stopping = threading.Event()

    def run_until_stopped(self, on_ready: Callable[[str], None]) -> None:
        """Serve until a signal comes; call `on_ready` with the welcome when every worker accepts connections.

        Raises:
            ConfigurationError: The address cannot be bound, or a worker cannot start. The text names the cause.
        """
        self._listener = _bound(self._settings.host, self._settings.port)
        former = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for number in range(self._settings.workers):
                self._start(number)
            on_ready(self._wait_until_ready())
            self._watch()
        finally:
            self._end_all()
            self._listener.close()
            for number, handler in former.items():
                signal.signal(number, handler)

    def _start(self, number: int) -> None:
        ours, theirs = self._spawning.Pipe()
        plan = WorkerPlan(self._settings, self._log_level, self._listener, number)
        process = self._spawning.Process(target=run_worker, args=(plan, theirs), name=f"llmdeal-worker-{number}")
        process.start()
        theirs.close()
        self._workers[number] = _Worker(process, ours, time.monotonic())

    def _wait_until_ready(self) -> str:
        """Wait until all workers are ready; return the welcome of the first one.

        Raises:
            ConfigurationError: A worker could not start.
        """
        welcomes: dict[int, str] = {}
        ends_at = time.monotonic() + _START_S
        while len(welcomes) < len(self._workers) and not self._stopping.is_set():
            missing = {worker.pipe: number for number, worker in self._workers.items() if number not in welcomes}
            ready = wait(list(missing), timeout=min(ends_at - time.monotonic(), 0.5))
            if time.monotonic() > ends_at:
                raise ConfigurationError(f"a worker was not ready after {_START_S:.0f} seconds. Its log says more.")
            for pipe in ready:
                number = missing[pipe]  # type: ignore[index] # only pipes were waited for
                try:
                    is_ready, text = self._workers[number].pipe.recv()
                except (EOFError, OSError):
                    is_ready, text = False, "a worker ended while it started. Its log says why."
                if not is_ready:
                    raise ConfigurationError(text)
                welcomes[number] = text
        return str(welcomes.get(0, ""))

    def _watch(self) -> None:
        """Restart workers that die, each after its own pause, until a signal comes."""
        while not self._stopping.is_set():
            sentinels = {
                worker.process.sentinel: number for number, worker in self._workers.items() if number not in self._due
            }
            pause_s = min(max(min(self._due.values(), default=math.inf) - time.monotonic(), 0.0), _LOOK_S)
            for sentinel in wait(list(sentinels), pause_s) if sentinels else ():
                self._note_end(sentinels[sentinel])  # type: ignore[index] # only sentinels were waited for
            if not sentinels:
                self._stopping.wait(pause_s)
            self._start_those_due()

    def _start_those_due(self) -> None:
        now = time.monotonic()
        for number in [number for number, due in self._due.items() if due <= now]:
            if not self._stopping.is_set():
                del self._due[number]
                self._start(number)

    def _note_end(self, number: int) -> None:
        """Log that a worker died, and plan its restart: at once, or after a pause that grows if it dies young."""
        if self._stopping.is_set():
            return
        worker = self._workers[number]
        worker.process.join()
        lived = time.monotonic() - worker.started
        pause = 0.0 if lived > _LEAST_LIFE_S else min(max(2 * self._pauses.get(number, 0.0), 0.5), _LONGEST_PAUSE_S)
        self._pauses[number] = pause
        cause = _cause(worker.pipe)
        _log.error(
            "worker %d ended (exit code %s%s) after %.0f s; it is restarted",
            number,
            worker.process.exitcode,
            cause,
            lived,
        )
        worker.pipe.close()
        self._due[number] = time.monotonic() + pause

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()
        for worker in self._workers.values():
            if worker.process.is_alive() and worker.process.pid is not None:
                os.kill(worker.process.pid, signal.SIGTERM)

    def _end_all(self) -> None:
        self._stop(signal.SIGTERM, None)
        ends_at = time.monotonic() + _STOP_S
        for worker in self._workers.values():
            worker.process.join(max(ends_at - time.monotonic(), 0.0))
            if worker.process.is_alive():
                _log.error(
                    "%s did not end; it is killed, and its open attempts are settled by the next start",
                    worker.process.name,
                )
                worker.process.kill()
                worker.process.join()


def run_worker(plan: WorkerPlan, pipe: Connection) -> None:
    """Run one worker: create the gateway, report to the parent, serve, and end when the parent ends."""
    from serve.process.logging_setup import set_up_logging

    set_up_logging(plan.log_level)
    from router.errors import RouterError
    from serve.errors import ServeError
    from serve.redaction import redact

    try:
        from serve.app import create_app
        from serve.process.server import GatewayServer

        settings = plan.settings.model_copy(update={"seed": plan.settings.seed + plan.number})
        app = create_app(settings, os.environ, is_prepared=True)
        server = GatewayServer(app, settings.host, settings.port)
        threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()

        def announce(url: str) -> None:
            pipe.send((True, _welcome(url, app) if plan.number == 0 else ""))

        server.run_until_stopped(announce, plan.listener)
    except (ServeError, RouterError) as error:
        pipe.send((False, redact(str(error))))


def _welcome(url: str, app: object) -> str:
    from rich.console import Console

    from serve.process.welcome import print_welcome

    shown = io.StringIO()
    terminal = Console(stderr=True)
    console = Console(file=shown, force_terminal=terminal.is_terminal, width=terminal.width, highlight=False)
    print_welcome(url, app.state.resources, console)  # type: ignore[attr-defined]
    return shown.getvalue()


def _cause(pipe: Connection) -> str:
    """Return the cause that a dead worker sent before it ended; empty: it sent none."""
    cause = ""
    with contextlib.suppress(EOFError, OSError):
        while pipe.poll():
            is_ready, text = pipe.recv()
            cause = "" if is_ready else f": {text}"
    return cause


def _end_with_parent(pipe: Connection) -> None:
    try:
        pipe.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another --port, or 0 for any free one"
        ) from None
    listener.set_inheritable(True)
    return listener
