"""Inserts many rows of already encoded values at once, skipping those that are there; the one place that is written for speed."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Dialect, Table

Values = tuple[object, ...]

# Few enough that the Python part of one statement holds the interpreter lock for about a millisecond: the event loop that
# serves requests shares it. SQLite lets go of it between rows.
_ROWS_A_STATEMENT: Final = 100


class BatchInsert:
    """INSERT ... ON CONFLICT DO NOTHING into one table (or a plain INSERT), handed to the driver as it stands.

    Values go past SQLAlchemy's per-row parameter handling, which costs more than SQLite's own work; they must therefore be
    what the driver itself takes (str, int, float, bool, bytes, None; JSON as text).
    """

    def __init__(self, table: Table, column_names: Sequence[str], *, skips_existing: bool = True) -> None:
        self._table = table.name
        self._column_names = tuple(column_names)
        self._on_conflict = " ON CONFLICT DO NOTHING" if skips_existing else ""

    def execute(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Insert `rows`, each in the order of the column names; a row whose primary key is there already is skipped, or refused.

        Raises:
            sqlalchemy.exc.DBAPIError: The driver refused; nothing of the connection's transaction may be kept.
        """
        statement = self._statement_for(connection.dialect)
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            connection.exec_driver_sql(statement, list(rows[start : start + _ROWS_A_STATEMENT]))

    def _statement_for(self, dialect: Dialect) -> str:
        # Both drivers in use take positional values; they differ in the mark that stands for one.
        mark = "?" if dialect.paramstyle == "qmark" else "%s"
        names, marks = ", ".join(self._column_names), ", ".join([mark] * len(self._column_names))
        # Names of our own tables and columns, never anything from outside.
        return f"INSERT INTO {self._table} ({names}) VALUES ({marks}){self._on_conflict}"  # noqa: S608
