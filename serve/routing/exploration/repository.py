"""What exploration gave up in a month, over all workers of one database; every method is one transaction."""

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
        period: `2026-11`.
        taken_nusd: What workers have taken of the ceiling, spent or not, 10^-9 USD.
        spent_nusd: What explored requests were expected to give up, as far as workers have told, 10^-9 USD.
        n_explored: How many requests that were.
    """

    period: str
    taken_nusd: Nusd
    spent_nusd: Nusd
    n_explored: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What a worker has to tell of a month since it last did.

    Args:
        spent_nusd: What explored requests were expected to give up.
        n_explored: How many these were.
        returned_nusd: What it took and gives back.
    """

    spent_nusd: Nusd = 0
    n_explored: int = 0
    returned_nusd: Nusd = 0


class ExplorationRepository:
    """The one place where the months of exploration change.

    Args:
        engine: SQLite or PostgreSQL.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def exchange(self, period: str, tally: Tally, wanted_nusd: Nusd, ceiling_nusd: Nusd) -> Nusd:
        """Enter what a worker tells and hand it a slice of the ceiling; return how much: `wanted_nusd`, or what is left where that is less.

        What is handed out counts as taken at once: a worker that is killed takes its slice with it.
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
        """Return a month, all zero where nothing was explored yet."""
        with self._engine.connect() as connection:
            row = connection.execute(select(EXPLORATION_TABLE).where(_MONTH.period == period)).first()
        return ExplorationMonth(period, 0, 0, 0) if row is None else ExplorationMonth(*row)
