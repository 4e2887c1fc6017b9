"""Checks answers in a thread, and hands the findings to the telemetry."""

import asyncio
import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import Final, Protocol

from router.telemetry_schema import AttemptRow, FeedbackRow
from serve.background.worker_thread import WorkerThread
from serve.clock import Clock
from serve.dialects.registry import DIALECTS
from serve.outcome_checks.checks import Checks
from serve.outcome_checks.finished_answer import FinishedAnswer
from serve.proxy.attempt import Attempt
from serve.proxy.upstream_answer import MOST_KEPT_PIECES
from serve.routing.call import Call

_log = logging.getLogger(__name__)

_MOST_ANSWERS: Final = 2_000
_MOST_BYTES: Final = 64_000_000
_LONGEST_ANSWER_BYTES: Final = 4_000_000
_PAUSE_S: Final = 0.2
_BURST_S: Final = 10.0


class FeedbackSink(Protocol):
    """Takes feedback, at once and without waiting."""

    def record(self, row: AttemptRow | FeedbackRow) -> bool:
        """Take one row; return False if it was dropped."""
        ...


class OutcomeChecker:
    """Takes answers at once and without waiting, and checks them a moment later.

    Answers wait in a bounded queue in memory. When it is full, further ones are not checked. A finding becomes feedback
    that is given by `check:` and the name of the metric. All methods belong to one event loop.

    Args:
        sink: Sink for the feedback; called in the event loop.
        clock: Time.
        most_per_s: Number of answers checked in a second; after a pause, ten times as many at once. Answers beyond it
            are skipped without looking at them, so that the findings stay representative of all answers.
    """

    def __init__(self, sink: FeedbackSink, clock: Clock, most_per_s: int) -> None:
        self._most_per_s = most_per_s
        self._left = most_per_s * _BURST_S
        self._last_taken = clock.monotonic()
        self._sink = sink
        self._clock = clock
        self._checks = Checks()
        self._queue: deque[FinishedAnswer | Future[None]] = deque()
        self._something_came = threading.Event()
        self._is_urgent = threading.Event()
        self._is_closing = threading.Event()
        self._thread = WorkerThread("outcome-checker", self._run)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bytes_taken = self._bytes_done = 0
        self.n_skipped = 0
        self.n_failed = 0

    def start(self) -> None:
        """Start the thread; call once, in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def follow(self) -> None:
        """Watch the thread until cancelled; it works until `close`. The next call starts a thread again that has ended.

        Raises:
            RuntimeError: An error ended the thread.
        """
        await self._thread.watch()

    def take(self, call: Call, attempt: Attempt) -> None:
        """Queue a complete answer; about three microseconds."""
        raw = attempt.answer.raw
        if raw is None or DIALECTS[call.inquiry.dialect].messages_field is None:
            return
        now = self._clock.monotonic()
        self._left = min(self._left + (now - self._last_taken) * self._most_per_s, self._most_per_s * _BURST_S)
        self._last_taken = now
        if self._left < 1:
            self.n_skipped += 1
            return
        self._left -= 1
        connection = call.connection(attempt.row)
        finished = FinishedAnswer(
            call.request_id,
            (call.holder.account, call.holder.virtual_key_id),
            call.conversation_id,
            call.inquiry,
            call.dialect(attempt.row),
            connection.quirks,
            raw if isinstance(raw, bytes) else tuple(raw),
            attempt.answer.text,
            attempt.answer.finish_reason,
            call.started,
            now,
        )
        n_bytes = finished.n_bytes
        is_full = len(self._queue) >= _MOST_ANSWERS or self._bytes_taken - self._bytes_done + n_bytes > _MOST_BYTES
        if is_full or n_bytes > _LONGEST_ANSWER_BYTES or len(raw) == MOST_KEPT_PIECES or self._is_closing.is_set():
            self.n_skipped += 1
            return
        self._bytes_taken += n_bytes
        self._queue.append(finished)
        if not self._something_came.is_set():
            self._something_came.set()

    async def flush(self) -> None:
        """Return once all answers taken before are checked and the telemetry has the findings."""
        if self._thread.was_started and not self._is_closing.is_set():
            mark: Future[None] = Future()
            self._queue.append(mark)
            self._hurry()
            await asyncio.wrap_future(mark)

    async def close(self) -> None:
        """Check what is queued and stop the thread; safe to call again. The telemetry must still be open."""
        self._is_closing.set()
        self._hurry()
        await self._thread.finish()
        await asyncio.sleep(0)  # the rows that the thread made last are handed over now

    def _hurry(self) -> None:
        self._is_urgent.set()
        self._something_came.set()

    def _run(self) -> None:
        if self._queue or self._is_closing.is_set():  # left by an earlier run of this thread that an error ended
            self._hurry()
        is_last_round = False
        while not is_last_round:
            self._something_came.wait()
            self._is_urgent.wait(_PAUSE_S)
            # Cleared before the queue is read: what comes from here on sets them again, so nothing is left behind.
            self._something_came.clear()
            self._is_urgent.clear()
            is_last_round = self._is_closing.is_set()
            self._check_queued(len(self._queue))

    def _check_queued(self, n_items: int) -> None:
        rows: list[FeedbackRow] = []
        for _ in range(n_items):
            item = self._queue[0]
            if isinstance(item, Future):
                self._hand_over(rows, item)
                rows = []
                self._queue.popleft()
            else:  # taken off before: an answer that ends the thread must not end the next one too
                self._queue.popleft()
                rows += self._check(item)
            # Gives the interpreter's lock to the event loop between answers, not only every five milliseconds.
            time.sleep(0)
        if rows:
            self._hand_over(rows, None)

    def _check(self, finished: FinishedAnswer) -> list[FeedbackRow]:
        self._bytes_done += finished.n_bytes
        try:
            findings = self._checks.findings(finished)
        # The edge of the thread: whatever an answer or a schema breaks, the next answer is checked.
        except Exception as error:
            self.n_failed += 1
            _log.debug("an answer could not be checked: %s", type(error).__name__)
            return []
        now = self._clock.now()
        return [
            FeedbackRow(request_id=request_id, metric_name=name, value=value, given_by=f"check:{name}", received_at=now)
            for request_id, name, value in findings
        ]

    def _hand_over(self, rows: list[FeedbackRow], mark: Future[None] | None) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._record, rows, mark)
        except RuntimeError:  # the event loop has ended
            self.n_skipped += len(rows)

    def _record(self, rows: list[FeedbackRow], mark: Future[None] | None) -> None:
        for row in rows:
            self._sink.record(row)
        if mark is not None and mark.set_running_or_notify_cancel():
            mark.set_result(None)
