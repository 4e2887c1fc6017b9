"""Reads which accounts limit what is logged of them, or had it deleted."""

from datetime import datetime
from typing import Final

from sqlalchemy import Engine, select

from router.telemetry_schema import ForgottenContent
from serve.instant import from_microseconds
from serve.storage.identity_tables import ACCOUNT_TABLE
from serve.storage.tables import FORGOTTEN_TABLE

_FORGOTTEN: Final = FORGOTTEN_TABLE.c
_ACCOUNT: Final = ACCOUNT_TABLE.c


class ForgottenRepository:
    """Reads the limits that accounts set on their telemetry."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def entries(self, now: datetime) -> list[ForgottenContent]:
        """Return the erasures, and the limits of accounts for all requests until now; ordered by account and time."""
        deleted = select(FORGOTTEN_TABLE).order_by(_FORGOTTEN.account, _FORGOTTEN.until_us)
        is_limited = _ACCOUNT.logged_content.is_not(None) & (_ACCOUNT.logged_content != "full")
        limited = select(_ACCOUNT.account, _ACCOUNT.logged_content).where(is_limited)
        with self._engine.connect() as connection:
            entries = [
                ForgottenContent(row.account, from_microseconds(row.until_us), row.kept)
                for row in connection.execute(deleted)
            ]
            entries += [ForgottenContent(row.account, now, row.logged_content) for row in connection.execute(limited)]
        return sorted(entries, key=lambda entry: (entry.account, entry.until, entry.kept))
