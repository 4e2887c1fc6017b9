"""Wrapped data keys in the database."""

from dataclasses import dataclass

from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from serve.storage.database import SQLITE_BEGIN
from serve.storage.identity_tables import DATA_KEY_TABLE

_KEY = DATA_KEY_TABLE.c


@dataclass(frozen=True, slots=True)
class DataKeyRow:
    """One account's data key.

    Args:
        account: Account whose secrets it seals.
        key_id: Id of 8 bytes, which the records that it sealed begin with.
        wrapped: Data key, wrapped by the master key.
    """

    account: str
    key_id: bytes
    wrapped: bytes


class DataKeyRepository:
    """Reads and writes data keys.

    Args:
        engine: Engine of an SQLite or PostgreSQL database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})

    def find(self, account: str) -> DataKeyRow | None:
        """Return an account's data key; None: it has none."""
        with self._engine.connect() as connection:
            row = connection.execute(
                select(_KEY.account, _KEY.key_id, _KEY.wrapped).where(_KEY.account == account)
            ).first()
        return None if row is None else DataKeyRow(row.account, bytes(row.key_id), bytes(row.wrapped))

    def all(self) -> list[DataKeyRow]:
        """Return every data key."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(_KEY.account, _KEY.key_id, _KEY.wrapped).order_by(_KEY.account)).all()
        return [DataKeyRow(row.account, bytes(row.key_id), bytes(row.wrapped)) for row in rows]

    def add(self, row: DataKeyRow, now_us: int) -> DataKeyRow:
        """Store an account's first data key, and return the stored one: another process may have been faster."""
        try:
            with self._writing.begin() as connection:
                values = {"account": row.account, "key_id": row.key_id, "wrapped": row.wrapped, "created_at_us": now_us}
                connection.execute(insert(DATA_KEY_TABLE).values(values))
        except IntegrityError:
            pass
        stored = self.find(row.account)
        assert stored is not None
        return stored

    def rewrap(self, rows: list[DataKeyRow]) -> None:
        """Store data keys that another master key has wrapped again; all or none."""
        with self._writing.begin() as connection:
            for row in rows:
                same = (_KEY.account == row.account) & (_KEY.key_id == row.key_id)
                connection.execute(update(DATA_KEY_TABLE).where(same).values(wrapped=row.wrapped))

    def shred(self, account: str) -> bool:
        """Delete an account's data key for good; return whether there was one."""
        with self._writing.begin() as connection:
            return bool(connection.execute(delete(DATA_KEY_TABLE).where(_KEY.account == account)).rowcount)
