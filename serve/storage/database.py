"""Opens the database, SQLite or PostgreSQL, and brings its tables to the version of this program."""

import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    create_engine,
    event,
    inspect,
    make_url,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from serve.errors import StorageError
from serve.storage import (  # noqa: F401 - their tables join METADATA
    alert_tables,
    bundle_tables,
    exploration_tables,
    idempotency_tables,
    identity_tables,
    money_tables,
    watch_tables,
)
from serve.storage.tables import METADATA

HEAD_REVISION: Final = "0015"
"""The newest migration. With this constant, a start with an up-to-date database needs no import of alembic."""

DEFAULT_BUSY_TIMEOUT_MS: Final = 5_000
DATABASE_AWAY: Final = (OperationalError, InterfaceError, PoolTimeoutError)
"""The errors that mean that the database does not answer; other errors mean that a statement was wrong."""
SQLITE_BEGIN: Final = "sqlite_begin"
"""Execution option of an engine or connection: how SQLite begins a transaction (`DEFERRED`, `IMMEDIATE`)."""

_CONNECT_TIMEOUT_S: Final = 5
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
# Any number that no other program on the same PostgreSQL server is likely to lock. It is the same in every process.
_POSTGRESQL_LOCK: Final = 5_412_202_611


def open_database(url: str, *, busy_timeout_ms: int = DEFAULT_BUSY_TIMEOUT_MS, must_exist: bool = False) -> Engine:
    """Return an engine on a database whose tables are at the version of this program; missing tables are made.

    The caller disposes of the engine.

    Args:
        url: Path of an SQLite file, `sqlite:///path`, or `postgresql://user:password@host/name`.
        busy_timeout_ms: Time that SQLite waits for another writer's lock, in ms.
        must_exist: Whether to refuse to make a new SQLite file.

    Raises:
        StorageError: The URL is malformed, the database cannot be reached, or a newer version of this program wrote it.
    """
    engine = create_telemetry_engine(url, busy_timeout_ms=busy_timeout_ms)
    file = _sqlite_file(engine.url)
    if must_exist and file is not None and not file.exists():
        raise StorageError(
            f"there is no database at {file}: name the one that the gateway uses, or start the gateway first"
        )
    try:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        migrate_to_head(engine)
    except OSError as error:
        engine.dispose()
        raise StorageError(f"cannot make the folder of the database {file}: {error.strerror}") from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def create_telemetry_engine(url: str, *, busy_timeout_ms: int = DEFAULT_BUSY_TIMEOUT_MS) -> Engine:
    """Return an engine without a look at the tables; arguments and errors are those of `open_database`."""
    parsed = _parse_url(url) if "://" in url else URL.create("sqlite", database=url)
    try:
        # Log and error texts never show the values of a statement: no prompt may leak through a traceback.
        engine = create_engine(parsed, hide_parameters=True, connect_args=_connect_arguments(parsed))
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise StorageError(f"no driver for {parsed.drivername!r}: {error}; install llmdeal[postgresql]") from error
    if parsed.get_backend_name() == "sqlite":
        _set_up_sqlite(engine, busy_timeout_ms)
    return engine


def migrate_to_head(engine: Engine) -> None:
    """Bring the tables to `HEAD_REVISION`; quick if they are there already.

    Several processes may do this at once: one migrates, and the other processes wait for it.

    Raises:
        StorageError: The database cannot be reached, or holds a revision that this program does not know.
    """
    try:
        with engine.connect() as connection:
            if stored_revision(connection) == HEAD_REVISION:
                return
        with engine.connect().execution_options(**{SQLITE_BEGIN: "IMMEDIATE"}) as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRESQL_LOCK})")
            revision = stored_revision(connection)
            if revision is None:
                make_tables(connection)
            elif revision != HEAD_REVISION:
                upgrade_tables(connection)
    except DBAPIError as error:
        raise StorageError(f"cannot use the database {_shown(engine.url)}: {error.orig}") from error


def stored_revision(connection: Connection) -> str | None:
    """Return the revision of the tables; None: the database has none of this program's tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if revision is None else str(revision)


def make_tables(connection: Connection) -> None:
    """Make all tables of an empty database at `HEAD_REVISION`, without the eleven megabytes of alembic.

    A test checks that the migrations give the same result.
    """
    METADATA.create_all(connection, checkfirst=False)
    version = Table("alembic_version", MetaData(), Column("version_num", String(32), nullable=False))
    version.append_constraint(PrimaryKeyConstraint("version_num", name="alembic_version_pkc"))
    version.create(connection)
    connection.execute(version.insert().values(version_num=HEAD_REVISION))


def upgrade_tables(connection: Connection, revision: str = "head") -> None:
    """Run the missing migrations up to `revision`.

    Raises:
        StorageError: The database holds a revision that this program does not know.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        shown, stored = _shown(connection.engine.url), stored_revision(connection)
        raise StorageError(
            f"the database {shown} is at revision {stored!r}, which this version of llmdeal does not know: "
            "upgrade llmdeal, or use another database"
        ) from error


def _parse_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StorageError(
            "malformed database URL: write sqlite:///path/to/file.db or postgresql://user@host/name"
        ) from error
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StorageError("the database must be a file, for several threads share it: write sqlite:///path/to/file.db")
    return parsed


def _connect_arguments(url: URL) -> dict[str, int]:
    """Return arguments for the driver. PostgreSQL's own timeout is minutes, too long when the server is gone."""
    needs_timeout = url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query
    return {"connect_timeout": _CONNECT_TIMEOUT_S} if needs_timeout else {}


def _sqlite_file(url: URL) -> Path | None:
    return Path(url.database).absolute() if url.get_backend_name() == "sqlite" and url.database else None


def _set_up_sqlite(engine: Engine, busy_timeout_ms: int) -> None:
    @event.listens_for(engine, "connect")
    def _configure(dbapi_connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        # `_begin` below begins transactions: by the driver's own rule, schema changes would not be part of them.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(busy_timeout_ms)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(SQLITE_BEGIN, 'DEFERRED')}")


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)
