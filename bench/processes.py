"""Runs servers as processes, each pinned to one core, and reads the kernel's figures about them; Linux only."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import Target

_READY_WITHIN_S = 120.0
_POLL_S = 0.005
_STOP_WITHIN_S = 20.0
_ANSWER_WITHIN_S = 10.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A measurement was not possible."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores of the processes.

    Args:
        server: Core of the server under test.
        load: Core of the load and the mock provider.
    """

    server: int
    load: int

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """Return two cores that this process may use.

        Raises:
            BenchError: There is no second core, or no `taskset`.
        """
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2 or shutil.which("taskset") is None:
            raise BenchError("the benchmark needs Linux, two cores and taskset (util-linux)")
        return cls(usable[0], usable[1])


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server.

    Args:
        pid: Process id of the first process.
        first_answer_s: Time from the start of the process to its first right answer, seconds.
    """

    pid: int
    first_answer_s: float

    def rss_mb(self) -> float:
        """Return the resident memory of the process and all its descendants, in MB of 10^6 bytes."""
        return family_rss_mb(self.pid)

    def cpu_s(self) -> float:
        """Return the processor time that the process and its descendants have used so far."""
        return sum(_cpu_ticks(pid) for pid in _family(self.pid)) / _TICKS_PER_S


@contextmanager
def running_server(
    command: Sequence[str], environment: Mapping[str, str], core: int, target: Target, log: Path
) -> Iterator[ServerProcess]:
    """Start a server on one core, wait for its first right answer to `target`, and stop it at the end.

    Raises:
        BenchError: The server ended, or did not answer in time; the message quotes the end of its log.
    """
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while not _answers(target):
            waited_s = time.perf_counter() - started
            if process.poll() is not None or waited_s > _READY_WITHIN_S:
                raise BenchError(f"{' '.join(command[:3])} did not answer:\n{log.read_text(errors='replace')[-3_000:]}")
            time.sleep(_POLL_S)
        yield ServerProcess(process.pid, time.perf_counter() - started)
    finally:
        _stop(process)


def others_share(seconds: float = 1.0) -> float:
    """Return the share (0..1) of all cores that other processes use; it makes every figure worse."""
    busy_before, all_before = _machine_ticks()
    time.sleep(seconds)
    busy, total = _machine_ticks()
    return (busy - busy_before) / max(total - all_before, 1)


def free_port() -> int:
    """Return a TCP port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(target: Target) -> bool:
    headers = {"content-type": "application/json", "authorization": target.authorization}
    request = urllib.request.Request(target.url, target.bodies[0], headers)  # noqa: S310 - our own loopback URL
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_WITHIN_S) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end; kill its whole session if it does not."""
    process.terminate()
    try:
        process.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def family_rss_mb(pid: int) -> float:
    """Return the resident memory of a process and its descendants, in MB of 10^6 bytes; 0 if the process is gone."""
    try:
        return sum(_rss_bytes(member) for member in _family(pid)) / 1e6
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _family(pid: int) -> list[int]:
    """Return the process and its descendants."""
    pids = [pid]
    for parent in pids:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            pids += [int(child) for child in children.read_text().split()]
    return pids


def _machine_ticks() -> tuple[int, int]:
    """Return (ticks not idle, all ticks) of the machine since it started."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _rss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024
    return 0


def _cpu_ticks(pid: int) -> int:
    # The command's name, in parentheses, may hold spaces; utime and stime are the 12th and 13th fields after it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
