"""Runs code that a language model wrote, in a process of its own that has given up its rights.

`serve.jobs.calibrate.confinement` starts this file as a script, isolated from the environment and from installed
packages, so it imports nothing of ours. It reads one task from the standard input and writes its results, as JSON, to
the standard output. Right answers are never passed to it, so the code cannot claim them.
"""

import ast
import bisect
import calendar
import collections
import contextlib
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import heapq
import io
import itertools
import json
import math
import mmap
import operator
import os
import random
import re
import resource
import socket
import sqlite3
import statistics
import string
import sys
import textwrap
import typing
from collections.abc import Callable

PRELOADED = (
    bisect,
    calendar,
    collections,
    copy,
    dataclasses,
    datetime,
    decimal,
    enum,
    fractions,
    functools,
    heapq,
    itertools,
    math,
    operator,
    random,
    re,
    statistics,
    string,
    textwrap,
    typing,
)
"""Modules that the code may import: no file can be opened once the rights are given up."""
_NOBODY = 65_534
_OUTPUT_BYTES = 1_000_000
_HARMLESS_EVENTS = frozenset(
    {
        "builtins.id",
        "code.__new__",
        "compile",
        "exec",
        "object.__delattr__",
        "object.__getattr__",
        "object.__setattr__",
        "sys._getframe",
        "sys._getframemodulename",
        "sys.excepthook",
        "sys.unraisablehook",
        "time.sleep",
    }
)


def confine(cpu_s: int, memory_bytes: int) -> None:
    """Give up the rights of this process and prove it. They cannot be taken back.

    Args:
        cpu_s: Limit of processor time; the process is killed at the limit.
        memory_bytes: Limit of the address space.

    Raises:
        RuntimeError: The system does not enforce a limit.
    """
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    if os.geteuid() == 0:  # the superuser could raise the limits again
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, _OUTPUT_BYTES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),  # no file, no socket
    ):
        resource.setrlimit(limit, (value, value))
    uses: tuple[tuple[str, Callable[[], None]], ...] = (
        ("raises its own limits", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))),
        ("opens files", _use_file),
        ("opens sockets", lambda: socket.socket().close()),
        ("takes more memory than allowed", lambda: _use_memory(memory_bytes)),
        ("starts processes", _start_process),
    )
    for right, use in uses:
        with contextlib.suppress(OSError, ValueError, MemoryError):
            use()
            raise RuntimeError(f"a limited process still {right}")


def _use_file() -> None:
    with open(__file__, "rb"):
        pass


def _use_memory(n_bytes: int) -> None:
    with mmap.mmap(-1, n_bytes):
        pass


def _start_process() -> None:
    if os.fork() == 0:
        os._exit(0)


def _refuse(event: str, _: object) -> None:
    if event not in _HARMLESS_EVENTS:
        raise PermissionError(event)


def run_python(task: dict[str, typing.Any]) -> list[object]:
    """Define the functions of a program and call one of them. Return the representation of each result.

    A call that fails yields None.
    """
    namespace: dict[str, typing.Any] = {"__name__": "answer"}
    exec(compile(task["source"], "answer.py", "exec"), namespace)  # noqa: S102 - the purpose of this process
    results: list[object] = []
    for arguments in task["calls"]:
        try:
            results.append(repr(namespace[task["function"]](*ast.literal_eval(arguments))))
        except Exception:
            results.append(None)
    return results


def run_regex(task: dict[str, typing.Any]) -> list[object]:
    """Return for each text whether the pattern matches all of it."""
    pattern = re.compile(task["pattern"])
    return [pattern.fullmatch(text) is not None for text in task["texts"]]


def run_sql(task: dict[str, typing.Any]) -> list[object]:
    """Return the rows of a query on a database in memory. The query may only read."""
    task["database"].set_authorizer(_allow_reading)
    return [list(row) for row in task["database"].execute(task["query"].strip().rstrip(";")).fetchmany(1_000)]


def _allow_reading(action: int, *_: object) -> int:
    reading = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
    return sqlite3.SQLITE_OK if action in reading else sqlite3.SQLITE_DENY


TASKS: dict[str, Callable[[dict[str, typing.Any]], list[object]]] = {
    "python": run_python,
    "regex": run_regex,
    "sql": run_sql,
}


def main() -> None:
    """Do the task of the standard input."""
    task = json.load(sys.stdin)
    datetime.datetime.strptime("1", "%d")
    output = os.dup(1)
    sys.stdout = sys.stderr = io.StringIO()
    if task["kind"] == "sql":
        task["database"] = sqlite3.connect(":memory:")
        task["database"].executescript("PRAGMA temp_store = MEMORY;" + task["schema"])
    answer: dict[str, object] = {}
    try:
        confine(task["cpu_s"], task["memory_bytes"])
    except (RuntimeError, OSError, ValueError) as problem:
        answer["unconfined"] = str(problem)
    else:
        write, dump, leave = os.write, json.dumps, os._exit
        sys.addaudithook(_refuse)
        try:
            answer["results"] = TASKS[task["kind"]](task)
        except BaseException as problem:
            answer["problem"] = type(problem).__name__
        write(output, dump(answer).encode())
        leave(0)
    os.write(output, json.dumps(answer).encode())


if __name__ == "__main__":
    main()
