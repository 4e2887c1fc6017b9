"""Starts the real `llmdeal serve`, and can watch and kill its workers; Linux only."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_COMMAND = (sys.executable, "-c", "from serve.cli.main import run; run()", "serve")
_LISTENS = re.compile(r"listens on (http://\S+)/v1")
_READY_WITHIN_S = 90.0
_STOP_WITHIN_S = 60.0
_POLL_S = 0.02


class GatewayProcessError(Exception):
    """The gateway did not start, or did not end; the message quotes the end of its log."""


class GatewayProcess:
    """A gateway on a free port while the `with` block runs.

    Args:
        settings: Settings file of the gateway.
        workers: Number of worker processes.
        log: File that its output is appended to.
        environment: Environment variables of the gateway; None: those of this process.
        arguments: Further arguments of the command.
    """

    def __init__(
        self,
        settings: Path,
        workers: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.url = ""
        self._command = (*_COMMAND, "--config", str(settings), "--port", "0", "--workers", str(workers), *arguments)
        self._log = log
        self._environment = dict(environment) if environment is not None else None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self) -> None:
        """Start the gateway and return once all its workers accept connections.

        Raises:
            GatewayProcessError: The gateway ended, or was not ready in time.
        """
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_until(
            lambda: self._find_url() or self._process is None or self._process.poll() is not None, _READY_WITHIN_S
        )
        if not self.url:
            raise GatewayProcessError(f"the gateway did not start:\n{self.log()[-3_000:]}")

    @property
    def pid(self) -> int:
        """Process id of the parent."""
        assert self._process is not None, "start() comes first"
        return self._process.pid

    def log(self) -> str:
        """Return the log since the last start."""
        return self._log.read_bytes()[self._log_start :].decode(errors="replace")

    def worker_pids(self) -> list[int]:
        """Return the process ids of the workers, without the helper process that Python starts."""
        children = [
            int(word) for path in Path(f"/proc/{self.pid}/task").glob("*/children") for word in path.read_text().split()
        ]
        return sorted(pid for pid in children if b"spawn_main" in _command_line(pid))

    def kill_worker(self, pid: int) -> None:
        """Kill a worker, as the kernel does when it runs out of memory."""
        os.kill(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill the parent and all workers at once, without a warning."""
        pids = self.worker_pids()
        for pid in (self.pid, *pids):
            os.kill(pid, signal.SIGKILL)
        self._wait_for_end()
        self.wait_until(lambda: not any(map(is_alive, pids)))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask the gateway to end, and return its exit code.

        Raises:
            GatewayProcessError: The gateway did not end in time.
        """
        assert self._process is not None, "start() comes first"
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._wait_for_end()

    def wait_until(self, holds: Callable[[], object], within_s: float = 30.0) -> None:
        """Return once `holds` returns a true value.

        Raises:
            GatewayProcessError: It did not happen in time.
        """
        deadline_s = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > deadline_s:
                raise GatewayProcessError(f"waited {within_s:.0f} s without success:\n{self.log()[-3_000:]}")
            time.sleep(_POLL_S)

    def _find_url(self) -> bool:
        match = _LISTENS.search(self.log())
        self.url = match[1] if match else ""
        return bool(match)

    def _wait_for_end(self) -> int:
        assert self._process is not None
        try:
            return self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise GatewayProcessError(f"the gateway did not end:\n{self.log()[-3_000:]}") from None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except GatewayProcessError:
            os.killpg(self.pid, signal.SIGKILL)
            self._wait_for_end()
            raise


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a process that ended but was not waited for does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
