"""What this worker may still give up for exploration: a slice of the month's ceiling, taken in the background, spent without waiting."""

import asyncio
import logging
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from serve.clock import Clock
from serve.money.budget import Nusd
from serve.money.period import Period, month_of
from serve.routing.exploration.repository import ExplorationMonth, ExplorationRepository, Tally

_log = logging.getLogger("llmdeal.exploration")
_LOOK_S = 1.0
# So much of the ceiling is taken at a time; it is also the dearest that one exploration can be.
_SLICES = 20


class ExplorationPurse:
    """Keeps the ceiling of one worker; all workers of a database together never go above it.

    Args:
        repository: The months.
        ceiling_nusd: Of a calendar month, 10^-9 USD.
        time_zone: Whose months.
        clock: Time.
    """

    def __init__(
        self, repository: ExplorationRepository, ceiling_nusd: Nusd, time_zone: ZoneInfo, clock: Clock
    ) -> None:
        self.ceiling_nusd = ceiling_nusd
        self.month: ExplorationMonth | None = None
        """As all workers together had it at the last look."""
        self._repository = repository
        self._zone = time_zone
        self._clock = clock
        self._slice_nusd = max(ceiling_nusd // _SLICES, 1)
        self._period: Period | None = None
        self._left_nusd: Nusd = 0
        self._spent_nusd: Nusd = 0
        self._n_explored = 0
        self._looking: asyncio.Task[None] | None = None

    def left_nusd(self) -> Nusd:
        """Return what may be spent at this moment, 10^-9 USD; nothing before the first look, and in a month that was not looked at yet."""
        if not self._left_nusd or self._period is None or self._clock.now() >= self._period.ends_at:
            return 0
        return self._left_nusd

    def spend(self, amount_nusd: Nusd) -> None:
        """Count an explored request; `amount_nusd` is at most what `left_nusd` returned before, with nothing awaited in between."""
        self._left_nusd -= amount_nusd
        self._spent_nusd += amount_nusd
        self._n_explored += 1

    async def look(self) -> None:
        """Tell what was spent, and take a slice where what is left runs low; a database that is away is asked again next time.

        What could not be told for sure counts as spent.
        """
        now = self._clock.now()
        if self._period is not None and now >= self._period.ends_at:
            await self._exchange(self._period, 0, returned_nusd=self._empty())
            self._period = None
        if self._period is None:
            self._period = month_of(now, self._zone)
        runs_low = self._left_nusd <= self._slice_nusd // 2
        self._left_nusd += await self._exchange(self._period, self._slice_nusd - self._left_nusd if runs_low else 0)

    async def follow(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(_LOOK_S)
            # Shielded: a look that is cancelled half-way would lose what the database has handed out.
            self._looking = asyncio.create_task(self.look())
            await asyncio.shield(self._looking)

    async def close(self) -> None:
        """Give back what was not spent."""
        if self._looking is not None:
            await asyncio.wait([self._looking])  # its error was raised where it was awaited first
        if self._period is not None:
            await self._exchange(self._period, 0, returned_nusd=self._empty())
            self._period = None

    def _empty(self) -> Nusd:
        left, self._left_nusd = self._left_nusd, 0
        return left

    async def _exchange(self, period: Period, wanted_nusd: Nusd, returned_nusd: Nusd = 0) -> Nusd:
        tally = Tally(self._spent_nusd, self._n_explored, returned_nusd)
        self._spent_nusd = self._n_explored = 0
        try:
            given, self.month = await asyncio.to_thread(self._ask, period, tally, wanted_nusd)
        except Exception as error:
            self._spent_nusd += tally.spent_nusd
            self._n_explored += tally.n_explored
            if not isinstance(error, SQLAlchemyError):
                raise
            _log.error("the ceiling of exploration cannot be looked at: %s", type(error).__name__)
            return 0
        return given

    def _ask(self, period: Period, tally: Tally, wanted_nusd: Nusd) -> tuple[Nusd, ExplorationMonth]:
        given = self._repository.exchange(period.name, tally, wanted_nusd, self.ceiling_nusd)
        return given, self._repository.month(period.name)
