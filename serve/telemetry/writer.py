"""Stores telemetry off the request path: rows go into a bounded queue, and one thread stores them in batches."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from sqlalchemy import Engine

from router.telemetry_schema import AttemptRow, FeedbackRow
from serve.background.worker_thread import WorkerThread
from serve.telemetry.batch import TelemetryStore

_log = logging.getLogger(__name__)

_Item = AttemptRow | FeedbackRow | Future[None]
"""Entry of the queue. A future is a mark of `flush`, completed when everything before it is stored."""


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """How much the writer holds and how long it waits.

    Args:
        max_queued_rows: Largest number of rows held in memory; further rows are dropped.
        max_queued_characters: Largest size of prompt and answer texts in memory, all rows together; further rows are
            dropped.
        batch_rows: Largest number of rows stored in one transaction.
        interval_s: Longest time that a row waits for others.
        first_backoff_s: Pause after a first failure of the database; doubles with each further one.
        longest_backoff_s: Upper limit of the pause.
        close_attempts: Number of failures of the database after which `close` gives up the rows that are left.
        drop_log_interval_s: Shortest time between two log lines about dropped rows.
    """

    max_queued_rows: int = 20_000
    max_queued_characters: int = 32_000_000
    batch_rows: int = 500
    interval_s: float = 0.25
    first_backoff_s: float = 0.1
    longest_backoff_s: float = 5.0
    close_attempts: int = 3
    drop_log_interval_s: float = 60.0


DEFAULT_LIMITS = WriterLimits()


@dataclass(frozen=True, slots=True)
class WriterCounts:
    """Counts of the rows so far; `recorded_rows` = stored + dropped + rejected + queued once nothing is under way.

    Args:
        recorded_rows: Rows given to `record`.
        stored_rows: Rows in the database.
        dropped_rows: Rows lost because the queue was full, or the database did not come back before the end.
        rejected_rows: Rows that could not be encoded, or that the database refuses for their content.
        failed_writes: Transactions that failed and were, or will be, tried again.
        queued_rows: Rows waiting now, the batch in hand included.
    """

    recorded_rows: int
    stored_rows: int
    dropped_rows: int
    rejected_rows: int
    failed_writes: int
    queued_rows: int


class TelemetryWriter:
    """Stores telemetry from a thread.

    `record` never waits and never raises. When the database is away or slower than the traffic, rows wait in a bounded
    queue. Once that is full, **new rows are dropped**, counted in `counts.dropped_rows` and logged at most once a
    minute. So telemetry may have holes, but requests never wait for it.

    Rows in the queue are not lost while the process lives: a failed transaction is tried again, with growing pauses,
    until it succeeds. Storing a row twice has no effect.

    All methods belong to one event loop. The caller disposes of the engine after `close`.
    """

    def __init__(
        self, engine: Engine, limits: WriterLimits = DEFAULT_LIMITS, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = TelemetryStore(engine)
        self._limits = limits
        self._monotonic = monotonic
        self._queue: deque[_Item] = deque()
        self._something_came = threading.Event()
        self._is_urgent = threading.Event()
        self._is_closing = threading.Event()
        self._thread = WorkerThread("telemetry-writer", self._run)
        self._rows_in_hand: list[AttemptRow | FeedbackRow] = []
        # The first three are changed by the event loop only, the others by the thread only: no lock is needed.
        self._recorded_rows = self._refused_rows = self._characters_taken = 0
        self._given_up_rows = self._failed_writes = self._characters_stored = self._failures_while_closing = 0
        self._drops_logged_at: float | None = None

    def start(self) -> None:
        """Start the thread; call once."""
        self._thread.start()

    async def follow(self) -> None:
        """Watch the thread until cancelled; it works until `close`. The next call starts a thread again that has ended.

        Raises:
            RuntimeError: An error ended the thread.
        """
        await self._thread.watch()

    def record(self, row: AttemptRow | FeedbackRow) -> bool:
        """Queue one row, in about two microseconds; return False if it was dropped: the queue is full, or closed."""
        self._recorded_rows += 1
        queued = len(self._queue)
        characters = _characters_of(row)
        held = self._characters_taken - self._characters_stored
        is_full = queued >= self._limits.max_queued_rows or held + characters > self._limits.max_queued_characters
        if is_full or self._is_closing.is_set():
            self._drop_one()
            return False
        self._characters_taken += characters
        self._queue.append(row)
        # Two wake-ups for each batch and none in between: waking a thread costs more than queueing a row.
        if not self._something_came.is_set():
            self._something_came.set()
        elif queued >= self._limits.batch_rows and not self._is_urgent.is_set():
            self._is_urgent.set()
        return True

    async def flush(self) -> None:
        """Return once all rows recorded before are stored, rejected or given up; waits while the database is away."""
        if self._is_closing.is_set():
            await self.close()
        elif self._thread.was_started:
            mark: Future[None] = Future()
            self._queue.append(mark)
            self._hurry()
            await asyncio.wrap_future(mark)

    async def close(self) -> None:
        """Take no more rows, store what is queued and stop the thread; safe to call again.

        After `close_attempts` failures of the database the rows that are left are dropped and counted.
        """
        self._is_closing.set()
        self._hurry()
        await self._thread.finish()

    @property
    def counts(self) -> WriterCounts:
        """Counts of the rows so far, for `/metrics`."""
        return WriterCounts(
            recorded_rows=self._recorded_rows,
            stored_rows=self._store.stored_rows,
            dropped_rows=self._refused_rows + self._given_up_rows,
            rejected_rows=self._store.rejected_rows,
            failed_writes=self._failed_writes,
            queued_rows=len(self._queue) + len(self._rows_in_hand),
        )

    def _drop_one(self) -> None:
        self._refused_rows += 1
        now = self._monotonic()
        if self._drops_logged_at is None or now - self._drops_logged_at >= self._limits.drop_log_interval_s:
            self._drops_logged_at = now
            _log.warning(
                "telemetry takes no rows, %d dropped so far: the database is too slow or away", self._refused_rows
            )

    def _hurry(self) -> None:
        self._is_urgent.set()
        self._something_came.set()

    def _run(self) -> None:
        self._go_on_after_an_error()
        is_last_round = False
        while not is_last_round:
            self._something_came.wait()
            if len(self._queue) < self._limits.batch_rows:
                self._is_urgent.wait(self._limits.interval_s)
            # Cleared before the queue is read: what comes from here on sets them again, so nothing is left behind.
            self._something_came.clear()
            self._is_urgent.clear()
            is_last_round = self._is_closing.is_set()
            # Only the present entries: those that arrive meanwhile would be stored in ever smaller transactions.
            self._store_queued(len(self._queue))

    def _go_on_after_an_error(self) -> None:
        """Do what an earlier run of this thread left, if an error ended it; a first run has nothing to do here."""
        self._store_rows_in_hand()
        if self._queue or self._is_closing.is_set():
            self._hurry()

    def _store_queued(self, n_items: int) -> None:
        for position in range(1, n_items + 1):
            item = self._queue[0]
            mark = item if isinstance(item, Future) else None
            if not isinstance(item, Future):
                self._rows_in_hand.append(item)
                self._queue.popleft()
            if mark or position == n_items or len(self._rows_in_hand) >= self._limits.batch_rows:
                self._store_rows_in_hand()
            if mark:  # taken off the queue only now: if an error ended the thread before, the next one completes it
                self._queue.popleft()
                if mark.set_running_or_notify_cancel():  # False if the caller no longer waits
                    mark.set_result(None)

    def _store_rows_in_hand(self) -> None:
        backoff_s = self._limits.first_backoff_s
        characters = sum(map(_characters_of, self._rows_in_hand))
        while self._rows_in_hand:
            if self._failures_while_closing >= self._limits.close_attempts:
                self._give_up()
                break
            try:
                self._store.store(self._rows_in_hand)
            # The edge of the thread: whatever a driver raises, the rows are kept, and the next attempt may succeed.
            except Exception as error:
                self._failed_writes += 1
                self._failures_while_closing += self._is_closing.is_set()
                _log.warning(
                    "telemetry: the database failed, trying again in %.1f s: %s", backoff_s, _first_line(error)
                )
                self._is_closing.wait(backoff_s)
                backoff_s = min(2 * backoff_s, self._limits.longest_backoff_s)
            else:
                self._rows_in_hand = []
        self._characters_stored += characters

    def _give_up(self) -> None:
        self._given_up_rows += len(self._rows_in_hand)
        _log.error("telemetry: %d rows are lost, the database stayed away until the end", len(self._rows_in_hand))
        self._rows_in_hand = []


def _characters_of(row: AttemptRow | FeedbackRow) -> int:
    if isinstance(row, FeedbackRow):
        return len(row.comment or "")
    return len(row.prompt_text or "") + len(row.answer_text or "")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
