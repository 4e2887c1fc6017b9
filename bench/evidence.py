"""Evidence from the gateway's telemetry that it did all its work while it was measured: it routed and logged."""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Evidence:
    """Counts from the telemetry database.

    Args:
        lanes: Lane id -> number of attempts that it answered.
    """

    lanes: Counter[str]

    @property
    def stored_rows(self) -> int:
        """Number of all rows."""
        return self.lanes.total()

    def __add__(self, other: "Evidence") -> "Evidence":
        """Return the joint evidence."""
        return Evidence(self.lanes + other.lanes)


def read_evidence(database: Path) -> Evidence:
    """Read the database of a gateway that has stopped."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT lane_id, count(*) FROM attempt WHERE outcome = 'ok' GROUP BY lane_id"
        ).fetchall()
    return Evidence(Counter(dict(rows)))
