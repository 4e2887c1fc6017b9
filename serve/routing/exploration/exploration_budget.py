"""The exploration budget of one worker: a slice of the month's ceiling.

The worker takes a slice from the database in the background, and spends from it without waiting.
"""

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
_SLICES = 20
"""The worker takes one of this many parts of the ceiling at a time. One exploration cannot cost more than that part."""


class ExplorationBudget:
    """What one worker may spend; all workers of a database together never go above the ceiling.

    Args:
        repository: Months of exploration in the database.
        ceiling_nusd: Ceiling of a calendar month, 10^-9 USD.
        time_zone: Time zone that the months follow.
        clock: Present time.
    """

    def __init__(
        self, repository: ExplorationRepository, ceiling_nusd: Nusd, time_zone: ZoneInfo, clock: Clock
    ) -> None:
        self.ceiling_nusd = ceiling_nusd
        self.month: ExplorationMonth | None = None
        """The month over all workers, as the database had it at the last look."""
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
        """Return what may be spent now, 10^-9 USD: 0 before the first look at the database in this month."""
        if not self._left_nusd or self._period is None or self._clock.now() >= self._period.ends_at:
            return 0
        return self._left_nusd

    def spend(self, amount_nusd: Nusd) -> None:
        """Count an explored request.

        Args:
            amount_nusd: Price of the exploration, at most what `left_nusd` returned. Nothing may be awaited in between.
        """
        self._left_nusd -= amount_nusd
        self._spent_nusd += amount_nusd
        self._n_explored += 1

    async def look(self) -> None:
        """Report what was spent, and take a slice when little is left.

        A database that is away is asked again at the next look. A slice that was handed out counts as
        spent when the answer of the database was lost.
        """
        now = self._clock.now()
        if self._period is not None and now >= self._period.ends_at:
            await self._exchange(self._period, 0, returned_nusd=self._empty())
            self._period = None
        if self._period is None:
            self._period = month_of(now, self._zone)
        runs_low = self._left_nusd <= self._slice_nusd // 2
        given_nusd = await self._exchange(self._period, self._slice_nusd - self._left_nusd if runs_low else 0)
        self._left_nusd += given_nusd  # not `+= await`: what is spent meanwhile would be overwritten

    async def follow(self) -> None:
        """Look every second, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            # Shielded: a look that is cancelled half-way would lose what the database has handed out.
            self._looking = asyncio.create_task(self.look())
            await asyncio.shield(self._looking)

    async def close(self) -> None:
        """Report what was spent, and give back the rest."""
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
            _log.error("the exploration budget cannot be read: %s", type(error).__name__)
            return 0
        return given

    def _ask(self, period: Period, tally: Tally, wanted_nusd: Nusd) -> tuple[Nusd, ExplorationMonth]:
        given = self._repository.exchange(period.name, tally, wanted_nusd, self.ceiling_nusd)
        return given, self._repository.month(period.name)
