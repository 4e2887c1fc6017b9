"""Code that a model wrote gets an answer to its task, and reaches nothing else."""

import os
import socket
import sys
from pathlib import Path

import pytest

from serve.jobs.calibrate.confinement import PythonTask, RegexTask, SqlTask, run_confined, why_not_confined

pytestmark = pytest.mark.skipif(why_not_confined() is not None, reason=f"no limits here: {why_not_confined()}")


def call(source: str, *arguments: str) -> list[object] | None:
    return run_confined(PythonTask(source, "f", arguments or ("()",)))


def test_a_linux_machine_limits_processes() -> None:
    if sys.platform == "linux":
        assert why_not_confined() is None


def test_common_modules_can_be_imported() -> None:
    source = (
        "import re, math, itertools\nfrom collections import Counter\nfrom dataclasses import dataclass\n"
        "from datetime import datetime\n\n@dataclass\nclass Pair:\n    a: int\n\ndef f(text):\n"
        "    day = datetime.strptime('2026-11-30', '%Y-%m-%d').strftime('%A')\n"
        "    return day, Counter(text).most_common(1), math.gcd(4, 6), Pair(3).a\n"
    )
    assert call(source, "('noon',)") == ["('Monday', [('n', 2)], 2, 3)"]


@pytest.mark.parametrize(
    "attempt",
    [
        "open({path!r}).read()",
        "open({path!r}, 'w')",
        "os.remove({path!r})",
        "os.rename({path!r}, {path!r} + 'x')",
        "os.mkdir({path!r} + 'd')",
        "os.kill({parent}, 9)",
        "os.fork()",
        "os.system('true')",
        "socket.create_connection(('127.0.0.1', {port}))",
        "__import__('ctypes')",
        "__import__('subprocess')",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))",
        "len('x' * 10**9)",
    ],
)
def test_code_reaches_no_file_no_process_no_network_and_no_more_memory(attempt: str, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("kept")
    path.chmod(0o666)
    tmp_path.chmod(0o777)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        tried = attempt.format(path=str(path), parent=os.getpid(), port=server.getsockname()[1])
        source = (
            "import sys\nos, socket, resource = (sys.modules[name] for name in ('os', 'socket', 'resource'))\n"
            f"def f():\n    {tried}\n    return 'done'\n"
        )
        assert call(source) in ([None], None)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]
    assert path.read_text() == "kept"


def test_nothing_of_the_environment_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", "secret-1")
    assert call("import sys\ndef f():\n    return 'ACME_API_KEY' in sys.modules['os'].environ") == ["False"]


def test_one_failing_call_leaves_the_others(tmp_path: Path) -> None:
    assert call("def f(n):\n    return 6 // n", "(2,)", "(0,)") == ["3", None]


@pytest.mark.slow
def test_work_without_end_is_ended() -> None:
    assert call("def f():\n    while True: pass") is None
    assert run_confined(RegexTask("(a+)+b", ("a" * 40,))) is None
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT COUNT(*) FROM c"
    assert run_confined(SqlTask("", endless)) is None


def test_a_query_only_reads(tmp_path: Path) -> None:
    schema = "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (2);"
    assert run_confined(SqlTask(schema, "SELECT SUM(n) FROM t;")) == [[3]]
    for query in ("DELETE FROM t", f"ATTACH DATABASE '{tmp_path}/x.db' AS x", "PRAGMA user_version = 3"):
        assert run_confined(SqlTask(schema, query)) is None
    assert not list(tmp_path.iterdir())
