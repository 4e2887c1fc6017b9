"""The history of bundles in the database: which bundle was in which stage, since when, and who changed it."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from serve.bundles.staging import StageChange, StageEntry, Standing
from serve.errors import MovedOnError
from serve.identity.audit_repository import AuditRepository
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.instant import from_microseconds, to_microseconds
from serve.storage.bundle_tables import BUNDLE_STAGE_TABLE

_STAGE: Final = BUNDLE_STAGE_TABLE.c


class BundleHistory:
    """Reads the history, and adds to it.

    Args:
        audit: Audit log; a change and its entry there are one transaction.
    """

    def __init__(self, audit: AuditRepository) -> None:
        self._audit = audit

    def newest(self) -> int:
        """Return the number of the last line; 0: there is none."""
        with self._audit.reading.connect() as connection:
            return int(connection.execute(select(func.max(_STAGE.number))).scalar() or 0)

    def entries(self) -> list[StageEntry]:
        """Return all lines, the oldest first."""
        with self._audit.reading.connect() as connection:
            return [_entry_of(row) for row in connection.execute(select(BUNDLE_STAGE_TABLE).order_by(_STAGE.number))]

    def add(self, changes: Sequence[StageChange], actor: str, after: int) -> int:
        """Add all lines, or none, after the line with the number `after`; return the number of the last one.

        Raises:
            MovedOnError: There are newer lines already, so the caller must read the history again.
        """
        first = changes[0]
        details: dict[str, Any] = {
            "version": first.standing.version,
            "share": first.standing.share,
            "note": first.note,
        }
        subject = f"bundle:{first.standing.bundle}"
        try:
            with self._audit.change(DEFAULT_ACCOUNT, actor, f"bundle.{first.action}", subject, **details) as connection:
                if int(connection.execute(select(func.max(_STAGE.number))).scalar() or 0) != after:
                    raise _moved_on()
                at_us = to_microseconds(self._audit.now())
                rows = [
                    {
                        "number": number,
                        "at_us": at_us,
                        "actor": actor,
                        "action": change.action,
                        "stage": change.stage,
                        "bundle": change.standing.bundle,
                        "version": change.standing.version,
                        "share": change.standing.share,
                        "note": change.note,
                        "verdict": change.verdict,
                    }
                    for number, change in enumerate(changes, start=after + 1)
                ]
                connection.execute(insert(BUNDLE_STAGE_TABLE), rows)
        except IntegrityError as error:  # two writers read at the same moment; PostgreSQL lets both begin
            raise _moved_on() from error
        return after + len(changes)


def _entry_of(row: Any) -> StageEntry:
    standing = Standing(row.bundle, row.version, row.share)
    change = StageChange(row.action, row.stage, standing, row.note, row.verdict)
    return StageEntry(row.number, from_microseconds(row.at_us), row.actor, change)


def _moved_on() -> MovedOnError:
    return MovedOnError("another change of the bundles came first: look again with 'llmdeal bundle list'")
