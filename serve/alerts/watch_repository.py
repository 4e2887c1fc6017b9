"""Stores the state of the watch, which workers share and a restart reads again, and its alarms."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.dialects import postgresql, sqlite

from serve.storage.database import SQLITE_BEGIN
from serve.storage.watch_tables import WATCH_ALARM_TABLE, WATCH_STATE_TABLE

_STATE: Final = WATCH_STATE_TABLE.c
_ALARM: Final = WATCH_ALARM_TABLE.c
StateName = tuple[str, str, str]
"""Kind, account, router version; account and version are empty if a state belongs to none."""


@dataclass(frozen=True, slots=True)
class StoredState:
    """One stored state.

    Args:
        value: Saved value.
        revision: Number that grows with each save, 1 or more.
        updated_at_us: Time of the save, microseconds since 1970 UTC.
    """

    value: Mapping[str, Any]
    revision: int
    updated_at_us: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm of the watch.

    Args:
        account: Account that the lanes, prompts or prices belong to.
        kind: Kind of the alarm: quality, calibration, prompts, price or price_table.
        subject: Lane id or name of a feature; empty: all.
        rang_at_us: Time of the alarm, microseconds since 1970 UTC.
        measure: Measured value.
        threshold: Value from which on the alarm is raised.
        message: Text for the operator.
    """

    account: str
    kind: str
    subject: str
    rang_at_us: int
    measure: float
    threshold: float
    message: str


class WatchRepository:
    """States and alarms in one database. Every method is one transaction.

    Args:
        engine: SQLite or PostgreSQL.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def state(self, name: StateName) -> StoredState | None:
        """Return a state; None: it was never saved."""
        kind, account, version = name
        query = select(WATCH_STATE_TABLE).where(
            _STATE.kind == kind, _STATE.account == account, _STATE.router_version == version
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else StoredState(json.loads(row.value), row.revision, row.updated_at_us)

    def states(self, kind: str, since_us: int = 0, account: str | None = None) -> dict[StateName, StoredState]:
        """Return all states of a kind that were saved at `since_us` or later."""
        query = select(WATCH_STATE_TABLE).where(_STATE.kind == kind, _STATE.updated_at_us >= since_us)
        if account is not None:
            query = query.where(_STATE.account == account)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return {
            (row.kind, row.account, row.router_version): StoredState(
                json.loads(row.value), row.revision, row.updated_at_us
            )
            for row in rows
        }

    def save(
        self,
        first: StateName,
        revision: int,
        values: Mapping[StateName, Mapping[str, Any]],
        now_us: int,
        alarms: Iterable[Alarm] = (),
    ) -> bool:
        """Save states and alarms together, unless another worker saved `first` meanwhile; return whether it was done.

        Args:
            first: Name of the state that every writer of these states writes too.
            revision: Revision of `first` when it was read; 0: it did not exist.
            values: Name -> value to save, `first` included.
            now_us: Present time, microseconds since 1970 UTC.
            alarms: Alarms to store.
        """
        with self._writing.begin() as connection:
            if not self._claim(connection, first, revision, values[first], now_us):
                return False
            for name, value in values.items():
                if name != first:
                    self._put(connection, name, value, now_us)
            self._add_alarms(connection, alarms)
        return True

    def alarms(self, since_us: int, account: str | None = None) -> list[Alarm]:
        """Return the alarms since then, the latest first."""
        query = select(WATCH_ALARM_TABLE).where(_ALARM.rang_at_us >= since_us).order_by(_ALARM.rang_at_us.desc())
        if account is not None:
            query = query.where(_ALARM.account == account)
        with self._engine.connect() as connection:
            return [Alarm(**row._mapping) for row in connection.execute(query)]

    def _claim(
        self, connection: Connection, name: StateName, revision: int, value: Mapping[str, Any], now_us: int
    ) -> bool:
        text = json.dumps(value)
        if revision == 0:
            row = _values(name) | {"revision": 1, "updated_at_us": now_us, "value": text}
            statement = self._insert(WATCH_STATE_TABLE).values(row).on_conflict_do_nothing()
            return bool(connection.execute(statement.returning(_STATE.revision)).all())
        kind, account, version = name
        ours = (_STATE.kind == kind) & (_STATE.account == account) & (_STATE.router_version == version)
        statement_ = update(WATCH_STATE_TABLE).where(ours, _STATE.revision == revision)
        done = connection.execute(statement_.values(revision=revision + 1, updated_at_us=now_us, value=text))
        return done.rowcount == 1

    def _put(self, connection: Connection, name: StateName, value: Mapping[str, Any], now_us: int) -> None:
        saved: dict[str, Any] = {"updated_at_us": now_us, "value": json.dumps(value)}
        statement = self._insert(WATCH_STATE_TABLE).values(_values(name) | saved | {"revision": 1})
        renewed = saved | {"revision": _STATE.revision + 1}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["kind", "account", "router_version"], set_=renewed)
        )

    def _add_alarms(self, connection: Connection, alarms: Iterable[Alarm]) -> None:
        rows: Sequence[Mapping[str, Any]] = [
            {name: getattr(alarm, name) for name in Alarm.__slots__} for alarm in alarms
        ]
        if rows:
            connection.execute(self._insert(WATCH_ALARM_TABLE).on_conflict_do_nothing(), rows)


def _values(name: StateName) -> dict[str, Any]:
    kind, account, version = name
    return {"kind": kind, "account": account, "router_version": version}
