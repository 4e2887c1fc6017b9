"""Runs code that a language model wrote, in a process without rights. See `serve.jobs.calibrate.confined_program`.

The process has limits on processor time, memory and output, and cannot open a file or a connection, or start a process.
It runs in an empty temporary folder, isolated from the environment and from installed packages. This protects against
mistakes and rough tricks in an answer. It is no boundary against an attacker who knows a hole in Python or the system.
"""

import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import msgspec

CPU_S = 2
MEMORY_BYTES = 512 * 2**20
_WALL_S = 15.0
"""Includes the start of the interpreter on a busy machine; a program that sleeps is ended by it."""
_OUTPUT_BYTES = 1_000_000
_PROGRAM = Path(__file__).with_name("confined_program.py")
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class ConfinementError(Exception):
    """This system does not enforce the limits. The message says which."""


class PythonTask(msgspec.Struct, frozen=True, tag_field="kind", tag="python"):
    """Call `function` of a program with each of `calls`, the arguments as Python tuples in text. Results are texts."""

    source: str
    function: str
    calls: tuple[str, ...]


class RegexTask(msgspec.Struct, frozen=True, tag_field="kind", tag="regex"):
    """Match a pattern with whole texts. Each result says whether it matches."""

    pattern: str
    texts: tuple[str, ...]


class SqlTask(msgspec.Struct, frozen=True, tag_field="kind", tag="sql"):
    """Ask a database that a script makes. Each result is a row."""

    schema: str
    query: str


Task = PythonTask | RegexTask | SqlTask


class _Answer(msgspec.Struct):
    results: list[object] | None = None
    problem: str = ""
    unconfined: str = ""


def run_confined(task: Task) -> list[object] | None:
    """Return the results of a task; None: it failed, or it was ended at a limit. Blocks, for some 0.1 s.

    Raises:
        ConfinementError: This system does not enforce the limits, so nothing was run.
    """
    if sys.platform == "win32":
        raise ConfinementError("Windows has no limits on a process that its program can set for itself")
    limits = {"cpu_s": CPU_S, "memory_bytes": MEMORY_BYTES}
    content = msgspec.json.encode({**msgspec.to_builtins(task), **limits})
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        try:
            process.communicate(content, timeout=_WALL_S)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        return _results(output.read(_OUTPUT_BYTES))


def _results(output: bytes) -> list[object] | None:
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except msgspec.MsgspecError:
        return None  # it was ended at a limit
    if answer.unconfined:
        raise ConfinementError(answer.unconfined)
    return answer.results


@cache
def why_not_confined() -> str | None:
    """Return why code cannot be run on this system within limits; None: it can. Blocks when called first."""
    try:
        results = run_confined(PythonTask("def f(n):\n    return n + 1", "f", ("(1,)",)))
    except (ConfinementError, OSError) as problem:
        return str(problem)
    return None if results == ["2"] else "a limited process does not answer"
