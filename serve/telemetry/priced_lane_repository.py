"""Stores and reads the lanes of each table of prices."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Engine, select
from sqlalchemy.dialects import postgresql, sqlite

from router.telemetry_schema import LaneRow
from serve.instant import from_microseconds, to_microseconds
from serve.storage.tables import PRICED_LANE_TABLE

_COLUMNS: Final = PRICED_LANE_TABLE.c
_NAMES: Final = ("price_snapshot_id", "lane_id")
# SQLite takes 32,766 parameters a statement; a row has sixteen.
_AT_ONCE: Final = 1_000


class PricedLaneRepository:
    """Lanes and their prices in one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def put(self, rows: Sequence[LaneRow]) -> None:
        """Store all rows; a row of the same lane at the same prices is replaced.

        Raises:
            TypeError: `noted_at` has no time zone.
            sqlalchemy.exc.DBAPIError: The database refused.
        """
        unique = {(row.price_snapshot_id, row.lane_id): _values_of(row) for row in rows}
        # In one order, so that two workers never wait for each other.
        values = [unique[name] for name in sorted(unique)]
        with self._engine.begin() as connection:
            for start in range(0, len(values), _AT_ONCE):
                fresh = self._insert(PRICED_LANE_TABLE).values(values[start : start + _AT_ONCE])
                changed = {column.name: fresh.excluded[column.name] for column in _COLUMNS if column.name not in _NAMES}
                connection.execute(fresh.on_conflict_do_update(index_elements=list(_NAMES), set_=changed))

    def of_snapshots(self, price_snapshot_ids: Collection[str]) -> list[LaneRow]:
        """Return the lanes of these tables of prices, by (price_snapshot_id, lane_id)."""
        wanted = sorted(price_snapshot_ids)
        rows: list[LaneRow] = []
        with self._engine.connect() as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                is_wanted = _COLUMNS.price_snapshot_id.in_(wanted[start : start + _AT_ONCE])
                query = (
                    select(PRICED_LANE_TABLE).where(is_wanted).order_by(_COLUMNS.price_snapshot_id, _COLUMNS.lane_id)
                )
                rows.extend(_row_of(dict(stored)) for stored in connection.execute(query).mappings())
        return rows


def _values_of(row: LaneRow) -> dict[str, Any]:
    values = asdict(row)
    values["noted_at_us"] = to_microseconds(values.pop("noted_at"))
    return values


def _row_of(stored: dict[str, Any]) -> LaneRow:
    noted_at = from_microseconds(stored.pop("noted_at_us"))
    return LaneRow(**stored, noted_at=noted_at)
