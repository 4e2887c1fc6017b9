"""The one place that money goes through: it is held before an attempt is sent, and settled once, whatever happens."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from serve.clock import Clock
from serve.instant import to_microseconds
from serve.money.budget import BudgetRule, Charge, Nusd, ScopePeriod
from serve.money.budget_repository import BudgetRepository
from serve.money.charge_journal import ChargeJournal, EndRecord, HoldRecord, ProgressRecord, abandoned_journals
from serve.money.hold import BudgetAway, Hold
from serve.money.leases import Leases
from serve.money.rule_book import RuleBook

_log = logging.getLogger("llmdeal.money")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeeperTimes:
    """The times by which the keeper works with the database, in seconds.

    Args:
        settle_s: Time between two batches of settled attempts.
        rules_s: Time between two looks at the caps.
        idle_s: Time after which an unused lease is given back.
        refused_s: Time that a refusal is remembered before the database is asked again.
        watch_s: Time between two signs of life of this worker, and between two looks for workers that are gone.
        silent_s: Time without a sign of life after which a worker counts as gone.
    """

    settle_s: float = 0.2
    rules_s: float = 1.0
    idle_s: float = 2.0
    refused_s: float = 0.25
    watch_s: float = 15.0
    silent_s: float = 120.0


class BudgetKeeper:
    """Keeps the budgets of one worker process.

    The database is asked for a lease when a balance runs low, and it gets settled attempts in batches. Both happen
    outside the event loop. A request waits for the database only when a budget is nearly spent. A scope without a cap
    is not held for: its charges are only written into the ledger.

    Args:
        repository: Repository of the budgets.
        journals: Folder of the workers' journals.
        clock: Clock for months, and for how long a refusal is remembered.
        times: Times by which the keeper works with the database.
        worker_id: Unique id of the worker; None: a new one is made.
    """

    def __init__(
        self,
        repository: BudgetRepository,
        journals: Path,
        clock: Clock,
        times: KeeperTimes | None = None,
        worker_id: str | None = None,
    ) -> None:
        self.worker_id = worker_id or uuid.uuid4().hex
        self.repository = repository
        self._journals = journals
        self._clock = clock
        self._times = times or KeeperTimes()
        self._rules = RuleBook(clock.now)
        self._leases = Leases(self.worker_id, repository, self._rules, clock, self._times.refused_s, self._in_thread)
        self._settled: list[Charge] = []
        self._loops = (
            (self.flush, self._times.settle_s),
            (self._refresh, self._times.rules_s),
            (self._keep_watch, self._times.watch_s),
        )
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._is_closing = asyncio.Event()
        # One thread, so that this worker's leases and settlements reach the database in the order of the calls.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="budgets")
        self._journal: ChargeJournal | None = None

    def read_rules(self) -> None:
        """Read the caps; blocks. Later changes are noticed within `KeeperTimes.rules_s`."""
        self._set_rules(self.repository.rules())

    async def start(self) -> None:
        """Settle for workers that are gone, then begin. Called once, before the first hold."""
        self._journal = ChargeJournal(self._journals, self.worker_id)
        await self._in_thread(self.sweep)
        await self._in_thread(self.read_rules)
        self._begin_loops()

    async def follow(self) -> None:
        """Watch the loops until cancelled; they go on until `close`. The next call begins a loop again that has ended.

        Raises:
            Exception: The error that ended a loop.
        """
        self._begin_loops()
        ended, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            del self._tasks[task]
            task.result()

    async def close(self) -> None:
        """Write what was settled, give leases back, and end. Open holds stay in the journal for the next start.

        The charges of a worker that died lately are settled too: the next start may be far off, and until then its
        leases would count against the budgets.
        """
        # What is under way is finished first: else the charges of a batch are lost, and its leases given back unpaid.
        self._is_closing.set()
        for ended in await asyncio.gather(*self._tasks, *self._leases.under_way, return_exceptions=True):
            if isinstance(ended, Exception):
                _log.error("work on the budgets failed while the worker ended: %r", ended)
        with suppress(DBAPIError):
            await self.flush()
            if not self._settled:  # else the leases cover what the next start finds in the journal
                await self._in_thread(lambda: self.repository.end_leases(self.worker_id))
            with suppress(OSError):
                await self._in_thread(self.sweep)
        self._thread.shutdown()
        if self._journal is not None:
            self._journal.close()

    def limits(self, scope: str) -> bool:
        """Return whether a scope has a cap."""
        return self._rules.limits(scope)

    def knows_of_spent_budgets(self) -> bool:
        """Return whether any budget was refused lately."""
        return self._leases.knows_of_spent_budgets

    def take_refused(self) -> set[ScopePeriod]:
        """Return the budgets that refused a lease since the last call."""
        return self._leases.take_refused()

    def resets_at(self, scope: str) -> datetime:
        """Return the beginning of the scope's next month, UTC."""
        return self._rules.month(scope).ends_at

    def is_spent(self, scope: str, amount: Nusd) -> bool:
        """Return whether a budget is known, at this moment, to have less than `amount` left."""
        return self._leases.is_spent(scope, amount)

    async def hold(
        self, charge_id: str, scopes: Sequence[str], amount: Nusd, lane_id: str, price_snapshot_id: str
    ) -> Hold:
        """Reserve for an attempt in all budgets that limit it, or in none.

        Args:
            charge_id: Id that is unique among all attempts ever made.
            scopes: Scopes that pay, limited or not, in the same order for every attempt.
            amount: Most that the attempt is expected to cost.
            lane_id, price_snapshot_id: Lane and prices, for the ledger.

        Raises:
            BudgetSpent: One of the budgets has not enough left.
            BudgetAway: The database does not say how much a budget has left, or the journal cannot be written.
        """
        periods = self._rules.periods(scopes)
        limited = tuple(key for key in periods if self._rules.limits(key[0]))
        await self._leases.hold(limited, amount)
        hold = Hold(charge_id, amount, limited, periods, lane_id, price_snapshot_id)
        try:
            self._written.write(HoldRecord(charge_id, amount, periods, lane_id, price_snapshot_id))
        except OSError as error:
            self._leases.settle(limited, amount, 0)
            _log.error("the journal of charges cannot be written: %s", error.strerror)
            raise BudgetAway(scopes[0]) from error
        return hold

    def progress(self, hold: Hold, amount: Nusd) -> None:
        """Note what an attempt has cost so far: this is charged if the process is killed."""
        self._note(ProgressRecord(hold.charge_id, amount))

    def settle(self, hold: Hold, amount: Nusd | None, *, is_estimated: bool = False) -> None:
        """End a hold, once; later calls do nothing.

        Args:
            hold: Result of `hold`.
            amount: Cost of the attempt, which may be more than was held; None: nothing is charged.
            is_estimated: Whether the provider did not say what it used.
        """
        if hold.is_ended:
            return
        hold.is_ended = True
        at_us = to_microseconds(self._clock.now())
        self._note(EndRecord(hold.charge_id, amount, at_us, is_estimated))
        self._leases.settle(hold.limited, hold.amount_nusd, amount or 0)
        if amount is None:
            self._written.forget([hold.charge_id])
        else:
            charge = Charge(
                hold.charge_id, amount, hold.periods, at_us, is_estimated, hold.lane_id, hold.price_snapshot_id
            )
            self._settled.append(charge)

    async def flush(self) -> None:
        """Write settled attempts into the ledger and give idle leases back; the next call repeats what fails."""
        charges, self._settled = self._settled, []
        returned = self._leases.take_idle(self._times.idle_s)
        if not charges and not returned:
            return
        now_us = to_microseconds(self._clock.now())
        try:
            has_leases = await self._in_thread(
                lambda: self.repository.settle(self.worker_id, charges, returned, now_us)
            )
        except DBAPIError as error:
            self._settled = charges + self._settled
            if not error.connection_invalidated:  # else the batch may have been stored: then leases were given back
                self._leases.put_back(returned)
            _log.error(
                "the ledger cannot be written, %d charges wait: %s", len(self._settled), type(error.orig).__name__
            )
            return
        except (
            Exception
        ):  # they may have been stored after all: a charge is never stored twice, a lease would be spent twice
            self._settled = charges + self._settled
            raise
        self._written.forget(charge.charge_id for charge in charges)
        if not has_leases:
            self._leases.empty()
            _log.warning("another worker took this one for dead and ended its leases; what it spent is in the ledger")

    def sweep(self) -> None:
        """Settle for workers that are gone. Blocks.

        Their journals say what they spent. If a journal is gone too, the rest of its worker's leases is charged.
        """
        now_us = to_microseconds(self._clock.now())
        self._journals.mkdir(parents=True, exist_ok=True)
        with abandoned_journals(self._journals, now_us) as recoveries:
            for recovered in recoveries:
                self.repository.recover(recovered.worker_id, recovered.charges, now_us)
                if recovered.n_open:
                    _log.warning("a worker was killed: %d of its attempts were charged by estimate", recovered.n_open)
        for worker_id in self.repository.silent_workers(now_us - int(self._times.silent_s * 1e6)):
            lost = self.repository.write_off(worker_id, now_us)
            _log.warning(
                "worker %s is gone with its journal: %d nano-dollars of its leases count as spent", worker_id, lost
            )

    def _begin_loops(self) -> None:
        for number, (work, seconds) in enumerate(self._loops):
            if number not in self._tasks.values():
                self._tasks[asyncio.create_task(_every(seconds, work, self._is_closing))] = number

    @property
    def _written(self) -> ChargeJournal:
        assert self._journal is not None, "start() comes first"
        return self._journal

    async def _refresh(self) -> None:
        rules = await self._in_thread(self.repository.rules)
        self._set_rules(rules)

    async def _keep_watch(self) -> None:
        now_us = to_microseconds(self._clock.now())
        await self._in_thread(lambda: self.repository.renew(self.worker_id, now_us))
        await self._in_thread(self.sweep)

    def _note(self, record: ProgressRecord | EndRecord) -> None:
        """Write down what becomes of a hold.

        If the disk is full, the journal has the hold alone, and all of it would be charged if the process were killed.
        """
        try:
            self._written.write(record)
        except OSError as error:
            _log.error("the journal of charges cannot be written: %s", error.strerror)

    def _set_rules(self, rules: Sequence[BudgetRule]) -> None:
        if self._rules.replace(rules):
            self._leases.forget_refusals()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


async def _every(seconds: float, work: Callable[[], Awaitable[None]], is_over: asyncio.Event) -> None:
    """Do `work` again and again until `is_over`; when a database or a disk fails, the next round tries again."""
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(is_over.wait(), seconds)
            return
        try:
            await work()
        except DBAPIError as error:
            _log.error("the database of the budgets does not answer: %s", type(error.orig).__name__)
        except (SQLAlchemyError, OSError) as error:
            _log.error("the work on the budgets failed: %s", type(error).__name__)
