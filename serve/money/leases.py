"""The budget leases of one worker.

A lease is taken from the database before a balance runs out, spent without asking it, and given back when idle.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from sqlalchemy.exc import DBAPIError

from serve.clock import Clock
from serve.instant import to_microseconds
from serve.money.budget import Nusd, ScopePeriod
from serve.money.budget_repository import BudgetRepository
from serve.money.hold import BudgetAway, BudgetSpent
from serve.money.lease_balances import LeaseBalances
from serve.money.rule_book import RuleBook
from serve.storage.database import DATABASE_AWAY

_log = logging.getLogger("llmdeal.money")
# A lease is enough for some requests, or a small part of the month's budget if that is more.
_LEASE_REQUESTS: Final = 32
_LEASE_SHARE: Final = 200
_AWAY_S: Final = 1.0
"""Seconds for which a database that did not answer is not asked again, so that waiting requests fail at once."""
T = TypeVar("T")


class InThread(Protocol):
    """Runs blocking work in the thread of the budgets, one call after the other."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Return the result of `work`."""
        ...


class Leases:
    """The amounts that one worker may spend of each budget without asking the database.

    Args:
        worker_id: Id of the worker.
        repository: Repository that gives the leases.
        rules: Caps of the budgets.
        clock: Clock; decides when a remembered refusal expires.
        refused_s: Seconds that a refusal is remembered before the database is asked again.
        in_thread: Runner of the database calls.
    """

    def __init__(
        self,
        worker_id: str,
        repository: BudgetRepository,
        rules: RuleBook,
        clock: Clock,
        refused_s: float,
        in_thread: InThread,
    ) -> None:
        self._worker_id = worker_id
        self._repository = repository
        self._rules = rules
        self._clock = clock
        self._refused_s = refused_s
        self._in_thread = in_thread
        self._balances = LeaseBalances()
        self._refusals: dict[ScopePeriod, tuple[Nusd, float]] = {}
        self._newly_refused: set[ScopePeriod] = set()
        self._away_until = -1.0
        self._locks: dict[ScopePeriod, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._refills: dict[ScopePeriod, asyncio.Task[None]] = {}
        self._fillings: set[asyncio.Task[bool]] = set()

    @property
    def knows_of_spent_budgets(self) -> bool:
        """Whether any budget was refused lately."""
        return bool(self._refusals)

    @property
    def under_way(self) -> tuple[asyncio.Task[object], ...]:
        """Questions to the database that are under way; the worker waits for them before it ends."""
        return (*self._refills.values(), *self._fillings)

    def take_refused(self) -> set[ScopePeriod]:
        """Return the budgets that refused a lease since the last call."""
        refused, self._newly_refused = self._newly_refused, set()
        return refused

    def forget_refusals(self) -> None:
        """Forget refusals, because the caps have changed."""
        self._refusals.clear()

    def is_spent(self, scope: str, amount: Nusd) -> bool:
        """Return whether a budget is known, at this moment, to have less than `amount` left."""
        if not self._refusals or not self._rules.limits(scope):
            return False
        key = (scope, self._rules.month(scope).name)
        refused = self._refusals.get(key)
        if refused is not None and self._clock.monotonic() >= refused[1]:
            del self._refusals[key]
            return False
        return refused is not None and amount >= refused[0] and self._balances.missing(key, amount) > 0

    async def hold(self, limited: Sequence[ScopePeriod], amount: Nusd) -> None:
        """Reserve in all these budgets, or in none.

        Raises:
            BudgetSpent: One of the budgets has not enough left.
            BudgetAway: The database does not say how much a budget has left.
        """
        while (lacking := self._balances.hold(limited, amount, self._clock.monotonic())) is not None:
            await self._fill(lacking, amount)
        for key in limited if amount else ():
            if key not in self._refills and self._balances.runs_low(key) and not self.is_spent(key[0], amount):
                self._refills[key] = asyncio.create_task(self._refill(key, amount))

    def settle(self, limited: Sequence[ScopePeriod], held: Nusd, spent: Nusd) -> None:
        """End a hold: what was not spent is free again."""
        self._balances.settle(limited, held, spent)

    def take_idle(self, idle_s: float) -> dict[ScopePeriod, Nusd]:
        """Empty the balances that were not used for so long; return what was in them."""
        return self._balances.take_idle(self._clock.monotonic() - idle_s)

    def put_back(self, returned: dict[ScopePeriod, Nusd]) -> None:
        """Add again what could not be given back."""
        for key, amount in returned.items():
            self._balances.add(key, amount, self._clock.monotonic())

    def empty(self) -> None:
        """Forget all leases, because another worker has ended them."""
        self._balances.empty()

    async def _fill(self, key: ScopePeriod, amount: Nusd) -> None:
        """Take a lease for a budget with too small a balance, while other requests that need the same lease wait.

        It goes on even if its request is cancelled meanwhile: the database has counted the lease already.
        """
        filling = asyncio.create_task(self._fill_locked(key, amount))
        self._fillings.add(filling)
        filling.add_done_callback(self._filled)
        if not await asyncio.shield(filling):
            raise BudgetSpent(key[0], self._rules.month(key[0]).ends_at)

    async def _fill_locked(self, key: ScopePeriod, amount: Nusd) -> bool:
        async with self._locks[key]:
            missing = self._balances.missing(key, amount)
            return not missing or (not self.is_spent(key[0], amount) and await self._lease(key, missing, amount))

    def _filled(self, filling: asyncio.Task[bool]) -> None:
        self._fillings.discard(filling)
        if not filling.cancelled():
            filling.exception()  # read, because no request may wait for it any more

    async def _refill(self, key: ScopePeriod, amount: Nusd) -> None:
        try:
            async with self._locks[key]:
                with suppress(BudgetAway):
                    await self._lease(key, amount, amount)
        finally:
            self._refills.pop(key, None)

    async def _lease(self, key: ScopePeriod, least: Nusd, amount: Nusd) -> bool:
        """Lease enough for some requests of this size.

        Return False if not even `least` is left; this is remembered for a moment.
        """
        if self._clock.monotonic() < self._away_until:
            raise BudgetAway(key[0])
        scope, period = key
        wanted = max(amount * _LEASE_REQUESTS, (self._rules.cap(scope) or 0) // _LEASE_SHARE)
        now_us = to_microseconds(self._clock.now())
        try:
            given = await self._in_thread(
                lambda: self._repository.lease(self._worker_id, scope, period, least, wanted, now_us)
            )
        except DATABASE_AWAY as error:
            self._away_until = self._clock.monotonic() + _AWAY_S
            cause = error.orig if isinstance(error, DBAPIError) else error
            _log.error("no lease could be taken: %s", type(cause).__name__)
            raise BudgetAway(scope) from error
        if given:
            self._balances.add(key, given, self._clock.monotonic())
        else:
            self._refusals[key] = (amount, self._clock.monotonic() + self._refused_s)
            self._newly_refused.add(key)
        return given > 0
