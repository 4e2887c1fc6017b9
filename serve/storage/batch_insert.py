"""Inserts many rows of encoded values at once and skips those that exist. This file is written for speed."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Dialect, Table

Values = tuple[object, ...]

# So few that the Python part of a statement holds the interpreter lock for about a millisecond: the event loop that
# serves requests needs that lock too. SQLite releases it between rows.
_ROWS_A_STATEMENT: Final = 100


class BatchInsert:
    """INSERT ... ON CONFLICT DO NOTHING into one table (or a plain INSERT), passed to the driver directly.

    SQLAlchemy's handling of parameters is left out, because it costs more than SQLite's own work. The values must
    therefore be of types that the driver takes (str, int, float, bool, bytes, None; JSON as text).
    """

    def __init__(self, table: Table, column_names: Sequence[str], *, skips_existing: bool = True) -> None:
        self._table = table.name
        self._column_names = tuple(column_names)
        self._on_conflict = " ON CONFLICT DO NOTHING" if skips_existing else ""

    def execute(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Insert `rows`, each in the order of the column names; a row that exists already is skipped, or refused.

        Raises:
            sqlalchemy.exc.DBAPIError: The driver refused; the connection's transaction must be rolled back.
        """
        statement = self._statement_for(connection.dialect)
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            connection.exec_driver_sql(statement, list(rows[start : start + _ROWS_A_STATEMENT]))

    def _statement_for(self, dialect: Dialect) -> str:
        # Both drivers take positional values; they differ in the placeholder.
        mark = "?" if dialect.paramstyle == "qmark" else "%s"
        names, marks = ", ".join(self._column_names), ", ".join([mark] * len(self._column_names))
        # The names are those of the gateway's own tables and columns, never input.
        return f"INSERT INTO {self._table} ({names}) VALUES ({marks}){self._on_conflict}"  # noqa: S608
