"""What exploration cost in each month, over all workers of one database. Every method is one transaction."""

from dataclasses import dataclass

from sqlalchemy import Engine, select, update
from sqlalchemy.dialects import postgresql, sqlite

from serve.money.budget import Nusd
from serve.storage.database import SQLITE_BEGIN
from serve.storage.exploration_tables import EXPLORATION_TABLE

_MONTH = EXPLORATION_TABLE.c


@dataclass(frozen=True, slots=True)
class ExplorationMonth:
    """One month of exploration.

    Args:
        period: Name of the month, such as `2026-11`.
        taken_nusd: Part of the ceiling that workers have taken, spent or not, 10^-9 USD.
        spent_nusd: Expected price of the explored requests that workers have reported, 10^-9 USD.
        n_explored: Number of these requests.
    """

    period: str
    taken_nusd: Nusd
    spent_nusd: Nusd
    n_explored: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What a worker reports of a month since its last report.

    Args:
        spent_nusd: Expected price of the explored requests, 10^-9 USD.
        n_explored: Number of these requests.
        returned_nusd: Part of its slice that the worker gives back, 10^-9 USD.
    """

    spent_nusd: Nusd = 0
    n_explored: int = 0
    returned_nusd: Nusd = 0


class ExplorationRepository:
    """Reads and changes the months of exploration; nothing else changes them.

    Args:
        engine: Engine of SQLite or PostgreSQL.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def exchange(self, period: str, tally: Tally, wanted_nusd: Nusd, ceiling_nusd: Nusd) -> Nusd:
        """Add a worker's report, and return its new slice of the ceiling: `wanted_nusd`, or the rest if that is less.

        The amount counts as taken at once: the slice of a worker that is killed is lost.
        """
        first = {"period": period, "taken_nusd": 0, "spent_nusd": 0, "n_explored": 0}
        with self._engine.begin() as connection:
            connection.execute(self._insert(EXPLORATION_TABLE).values(first).on_conflict_do_nothing())
            query = select(_MONTH.taken_nusd).where(_MONTH.period == period).with_for_update()
            taken = int(connection.execute(query).scalar_one()) - tally.returned_nusd
            given = max(min(wanted_nusd, ceiling_nusd - taken), 0)
            connection.execute(
                update(EXPLORATION_TABLE)
                .where(_MONTH.period == period)
                .values(
                    taken_nusd=taken + given,
                    spent_nusd=_MONTH.spent_nusd + tally.spent_nusd,
                    n_explored=_MONTH.n_explored + tally.n_explored,
                )
            )
        return given

    def month(self, period: str) -> ExplorationMonth:
        """Return a month; it is all zero when nothing was explored yet."""
        with self._engine.connect() as connection:
            row = connection.execute(select(EXPLORATION_TABLE).where(_MONTH.period == period)).first()
        return ExplorationMonth(period, 0, 0, 0) if row is None else ExplorationMonth(*row)
