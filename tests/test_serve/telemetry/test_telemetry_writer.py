import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from telemetry_strategies import attempt_row, feedback_row

from router.telemetry_schema import AttemptRow, FeedbackRow
from serve.storage.database import open_database
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.feedback_repository import FeedbackRepository
from serve.telemetry.writer import TelemetryWriter, WriterLimits

LONG_AGO, FAR_AHEAD = datetime(1960, 1, 1, tzinfo=UTC), datetime(2300, 1, 1, tzinfo=UTC)
QUICK = WriterLimits(interval_s=0.001, first_backoff_s=0.001, longest_backoff_s=0.002)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


@pytest.fixture
def engine(database: Path) -> Iterator[Engine]:
    engine = open_database(str(database), busy_timeout_ms=1)
    yield engine
    engine.dispose()


@contextmanager
def locked(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def run_with_writer(
    engine: Engine, use: Callable[[TelemetryWriter], Coroutine[None, None, None]], limits: WriterLimits = QUICK
) -> TelemetryWriter:
    async def run() -> TelemetryWriter:
        writer = TelemetryWriter(engine, limits)
        writer.start()
        try:
            await use(writer)
        finally:
            await writer.close()
        return writer

    return asyncio.run(run())


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110  # the writer's thread sets no event of ours
        await asyncio.sleep(0)


def stored_attempts(engine: Engine) -> list[AttemptRow]:
    return [row for chunk in AttemptRepository(engine).read(LONG_AGO, FAR_AHEAD) for row in chunk]


def stored_feedback(engine: Engine) -> list[FeedbackRow]:
    return [row for chunk in FeedbackRepository(engine).read(LONG_AGO, FAR_AHEAD) for row in chunk]


def test_everything_recorded_is_stored_once_flush_returns(engine: Engine) -> None:
    async def use(writer: TelemetryWriter) -> None:
        for number in range(700):
            assert writer.record(attempt_row(number))
        assert writer.record(feedback_row())
        await writer.flush()
        assert len(stored_attempts(engine)) == 700
        assert stored_feedback(engine) == [feedback_row()]
        assert (writer.counts.stored_rows, writer.counts.queued_rows) == (701, 0)

    run_with_writer(engine, use)


def test_rows_are_stored_without_anybody_asking(engine: Engine) -> None:
    async def use(writer: TelemetryWriter) -> None:
        writer.record(attempt_row())
        await until(lambda: writer.counts.stored_rows == 1)

    run_with_writer(engine, use)

    assert stored_attempts(engine) == [attempt_row()]


def test_a_full_batch_does_not_wait_for_the_interval(engine: Engine) -> None:
    async def use(writer: TelemetryWriter) -> None:
        for number in range(20):
            writer.record(attempt_row(number))
        await until(lambda: writer.counts.stored_rows == 20)

    run_with_writer(engine, use, WriterLimits(batch_rows=10, interval_s=3_600))


def test_close_stores_what_is_queued(engine: Engine) -> None:
    async def use(writer: TelemetryWriter) -> None:
        for number in range(30):
            writer.record(attempt_row(number))

    writer = run_with_writer(engine, use, WriterLimits(interval_s=3_600))

    assert len(stored_attempts(engine)) == 30
    assert writer.counts.stored_rows == writer.counts.recorded_rows == 30


def test_closing_twice_and_flushing_after_close_return(engine: Engine) -> None:
    async def use(writer: TelemetryWriter) -> None:
        await writer.close()
        await writer.close()
        await writer.flush()

    run_with_writer(engine, use)


def test_a_row_recorded_after_close_is_dropped_and_counted(engine: Engine) -> None:
    async def use(writer: TelemetryWriter) -> None:
        await writer.close()
        assert not writer.record(attempt_row())

    assert run_with_writer(engine, use).counts.dropped_rows == 1


def test_recording_goes_on_while_the_database_is_locked_and_no_row_is_lost(engine: Engine, database: Path) -> None:
    async def use(writer: TelemetryWriter) -> None:
        with locked(database):
            for number in range(100):
                assert writer.record(attempt_row(number))
            await until(lambda: writer.counts.failed_writes >= 3)
            assert writer.counts.queued_rows == 100
        await writer.flush()

    writer = run_with_writer(engine, use)

    assert len(stored_attempts(engine)) == 100
    assert (writer.counts.stored_rows, writer.counts.dropped_rows) == (100, 0)


def test_rows_that_the_queue_has_no_room_for_are_dropped_counted_and_logged_once_a_minute(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = 0.0
    writer = TelemetryWriter(engine, WriterLimits(max_queued_rows=10), monotonic=lambda: seconds)

    with caplog.at_level(logging.WARNING):
        accepted = [writer.record(attempt_row(number)) for number in range(30)]
        seconds = 61.0
        writer.record(attempt_row(30))

    assert accepted == [True] * 10 + [False] * 20
    assert writer.counts.dropped_rows == 21
    assert [record.args for record in caplog.records] == [(1,), (21,)]


def test_texts_that_the_queue_has_no_room_for_are_dropped_and_short_rows_still_taken(engine: Engine) -> None:
    writer = TelemetryWriter(engine, WriterLimits(max_queued_characters=100))

    accepted = [writer.record(attempt_row(number, prompt_text="x" * 30, answer_text="y" * 20)) for number in range(3)]

    assert accepted == [True, True, False]
    assert writer.record(attempt_row(3))


def test_room_for_texts_comes_back_once_they_are_stored(engine: Engine) -> None:
    async def use(writer: TelemetryWriter) -> None:
        for number in range(5):
            assert writer.record(attempt_row(number, prompt_text="x" * 100))
            await writer.flush()

    run_with_writer(engine, use, WriterLimits(max_queued_characters=100))


def test_close_gives_up_after_a_bounded_number_of_failures_and_counts_the_rows(engine: Engine, database: Path) -> None:
    async def use(writer: TelemetryWriter) -> None:
        for number in range(50):
            writer.record(attempt_row(number))

    with locked(database):
        writer = run_with_writer(engine, use, WriterLimits(batch_rows=10, close_attempts=2, interval_s=3_600))

    assert writer.counts.dropped_rows == 50
    assert writer.counts.failed_writes == 2
    assert stored_attempts(engine) == []


def test_a_row_that_cannot_be_stored_is_rejected_and_the_others_are_kept(engine: Engine) -> None:
    async def use(writer: TelemetryWriter) -> None:
        for row in (
            attempt_row(0),
            attempt_row(1, prompt_text="\ud800"),
            feedback_row(0, value=float("nan")),
            attempt_row(2),
        ):
            writer.record(row)
        await writer.flush()

    writer = run_with_writer(engine, use)

    assert stored_attempts(engine) == [attempt_row(0), attempt_row(2)]
    assert (writer.counts.stored_rows, writer.counts.rejected_rows) == (2, 2)


def test_a_rejected_row_leaves_nothing_of_its_content_in_the_log(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(writer: TelemetryWriter) -> None:
        writer.record(attempt_row(0, prompt_text="a secret \ud800", account=None))

    run_with_writer(engine, use)

    assert "request-000000" in caplog.text
    assert "secret" not in caplog.text


def test_a_caller_who_stops_waiting_for_a_flush_does_not_stop_the_writer(engine: Engine, database: Path) -> None:
    async def use(writer: TelemetryWriter) -> None:
        with locked(database):
            writer.record(attempt_row(0))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(writer.flush(), timeout=0.001)
        writer.record(attempt_row(1))
        await writer.flush()

    run_with_writer(engine, use)

    assert stored_attempts(engine) == [attempt_row(0), attempt_row(1)]


def test_flush_returns_at_once_when_nothing_was_started(engine: Engine) -> None:
    asyncio.run(TelemetryWriter(engine).flush())


class Defect(BaseException):
    """What no `except Exception` catches."""


def defect_at_first_insert(engine: Engine) -> None:
    """Let the database driver end the thread that stores the first row."""

    def raise_once(*arguments: object) -> None:
        if str(arguments[2]).startswith("INSERT INTO attempt"):
            event.remove(engine, "before_cursor_execute", raise_once)
            raise Defect

    event.listen(engine, "before_cursor_execute", raise_once)


def test_a_thread_that_ended_is_started_again_and_loses_no_row_and_no_flush(engine: Engine) -> None:
    async def use(writer: TelemetryWriter) -> None:
        defect_at_first_insert(engine)
        writer.record(attempt_row(0))
        flushing = asyncio.create_task(writer.flush())
        with pytest.raises(RuntimeError, match="the thread telemetry-writer ended"):
            await writer.follow()
        writer.record(attempt_row(1))
        following = asyncio.create_task(writer.follow())
        await asyncio.wait_for(flushing, 10)
        await writer.flush()
        following.cancel()
        assert writer.counts.queued_rows == 0

    run_with_writer(engine, use)

    assert stored_attempts(engine) == [attempt_row(0), attempt_row(1)]


def test_close_stores_what_a_thread_that_ended_has_left(engine: Engine) -> None:
    async def use(writer: TelemetryWriter) -> None:
        defect_at_first_insert(engine)
        writer.record(attempt_row(0))
        with pytest.raises(RuntimeError):
            await writer.follow()
        writer.record(attempt_row(1))

    run_with_writer(engine, use)

    assert stored_attempts(engine) == [attempt_row(0), attempt_row(1)]
