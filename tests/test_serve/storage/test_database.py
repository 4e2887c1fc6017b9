import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

import serve.storage
from serve.errors import StorageError
from serve.storage.database import HEAD_REVISION, SQLITE_BEGIN, create_telemetry_engine, open_database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path}/telemetry.db", busy_timeout_ms=10)
    yield engine
    engine.dispose()


def set_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (revision,))


def test_the_newest_migration_is_the_one_that_the_quick_check_knows() -> None:
    migrations = Path(serve.storage.__file__).parent / "migrations"

    assert ScriptDirectory(str(migrations)).get_heads() == [HEAD_REVISION]


def test_sqlite_logs_ahead_and_waits_for_locks(engine: Engine) -> None:
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }

    assert pragmas == {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 10}


@pytest.mark.slow
def test_a_database_that_is_up_to_date_opens_without_the_migration_tool(engine: Engine) -> None:
    program = (
        "import sys; from serve.storage.database import open_database\n"
        f"open_database({engine.url.render_as_string()!r}).dispose()\n"
        "assert 'alembic' not in sys.modules and 'pyarrow' not in sys.modules"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_database_of_a_newer_version_is_refused_with_the_mend(engine: Engine) -> None:
    set_revision(engine, "9999")

    with pytest.raises(StorageError, match="'9999', which this version of llmdeal does not know: upgrade llmdeal"):
        open_database(engine.url.render_as_string())


def test_a_failed_migration_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "foreign.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE lane_list (mine TEXT)")

    with pytest.raises(StorageError, match="already exists"):
        open_database(str(file))

    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("lane_list",)]


def test_a_plain_path_is_an_sqlite_file_and_its_folder_is_made(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "a b%20c.db"

    open_database(str(file)).dispose()

    assert file.exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("nonsense://", "no driver for 'nonsense'"),
        ("://", "malformed database URL"),
    ],
)
def test_an_unusable_url_is_refused_with_the_mend(url: str, message: str) -> None:
    with pytest.raises(StorageError, match=message):
        open_database(url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database " * 100)

    with pytest.raises(StorageError, match="file is not a database"):
        open_database(str(file))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match="cannot make the folder"):
        open_database(str(tmp_path / "file" / "telemetry.db"))


def test_no_new_file_is_made_where_the_database_must_exist(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no database at"):
        open_database(str(tmp_path / "absent.db"), must_exist=True)

    assert list(tmp_path.iterdir()) == []


def test_the_password_of_a_database_stays_out_of_the_error() -> None:
    pytest.importorskip("psycopg")

    with pytest.raises(StorageError) as raised:
        open_database("postgresql://user:hunter2@127.0.0.1:1/x?connect_timeout=1")

    assert "hunter2" not in str(raised.value)


def test_values_stay_out_of_database_errors(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(OperationalError) as raised:
        connection.exec_driver_sql("SELECT ? FROM missing", ("a secret prompt",))

    assert "a secret prompt" not in str(raised.value)


def test_an_immediate_transaction_locks_before_its_first_statement(engine: Engine) -> None:
    immediate = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})

    with immediate.begin(), pytest.raises(OperationalError, match="locked"), immediate.begin():
        pass


def test_an_engine_alone_leaves_the_database_untouched(tmp_path: Path) -> None:
    create_telemetry_engine(str(tmp_path / "later.db")).dispose()

    assert list(tmp_path.iterdir()) == []
