"""The checker takes so many answers a second, whatever they say, and hands on what it found in the event loop."""

import asyncio
import json
import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from router.telemetry_schema import AttemptRow, FeedbackRow
from serve.dialects.openai.conversation import read_chat_request
from serve.dialects.quirks import Quirks
from serve.outcome_checks.checker import OutcomeChecker

ANSWER = json.dumps(
    {"choices": [{"message": {"role": "assistant", "content": "The sum is 3."}, "finish_reason": "stop"}]}
).encode()
INQUIRY = read_chat_request(
    json.dumps({"model": "smart-route", "messages": [{"role": "user", "content": "Add 1 and 2"}]}).encode()
)


class HandClock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 26, tzinfo=UTC)


class ListSink:
    def __init__(self) -> None:
        self.rows: list[AttemptRow | FeedbackRow] = []
        self.threads: set[int] = set()

    def record(self, row: AttemptRow | FeedbackRow) -> bool:
        self.rows.append(row)
        self.threads.add(threading.get_ident())
        return True


def call(number: int) -> Any:
    connection = SimpleNamespace(quirks=Quirks())
    holder = SimpleNamespace(account="default", virtual_key_id="vk")
    return SimpleNamespace(
        request_id=f"req_{number}",
        holder=holder,
        conversation_id=f"talk-{number}",
        inquiry=INQUIRY,
        started=1_000.0,
        connection=lambda row: connection,
        dialect=lambda row: INQUIRY.dialect,
    )


def answered(raw: bytes = ANSWER) -> Any:
    answer = SimpleNamespace(raw=raw, text=None, finish_reason="stop")
    return SimpleNamespace(answer=answer, row=0)


def test_a_burst_is_checked_up_to_its_limit_and_what_was_found_is_recorded_in_the_event_loop() -> None:
    async def run() -> tuple[ListSink, OutcomeChecker]:
        clock, sink = HandClock(), ListSink()
        checker = OutcomeChecker(sink, clock, 2)
        checker.start()
        for number in range(25):
            checker.take(call(number), answered())
        await checker.flush()
        assert len(sink.rows) == 20  # ten seconds' worth
        clock.seconds += 1.5
        for number in range(25, 35):
            checker.take(call(number), answered())
        await checker.close()
        return sink, checker

    sink, checker = asyncio.run(run())
    assert len(sink.rows) == 23
    assert checker.n_skipped == 12
    assert sink.threads == {threading.get_ident()}
    first = sink.rows[0]
    assert isinstance(first, FeedbackRow)
    assert (first.request_id, first.metric_name, first.value, first.given_by) == (
        "req_0",
        "refusal",
        0.0,
        "check:refusal",
    )


def test_an_answer_that_cannot_be_read_is_counted_and_the_next_one_is_checked() -> None:
    async def run() -> tuple[ListSink, OutcomeChecker]:
        sink = ListSink()
        checker = OutcomeChecker(sink, HandClock(), 10)
        checker.start()
        checker.take(call(0), answered(b"nonsense"))
        checker.take(call(1), answered())
        await checker.close()
        await checker.close()
        checker.take(call(2), answered())  # too late: it is not taken
        return sink, checker

    sink, checker = asyncio.run(run())
    assert [row.request_id for row in sink.rows] == ["req_1"]
    assert (checker.n_failed, checker.n_skipped) == (1, 1)


class BrokenClock(HandClock):
    """Fails once in the checker's thread."""

    is_broken = True

    def now(self) -> datetime:
        if self.is_broken and threading.current_thread().name == "outcome-checker":
            self.is_broken = False
            raise RuntimeError("the clock is broken")
        return super().now()


def test_a_thread_that_ended_is_started_again_and_loses_one_answer_and_no_flush() -> None:
    async def run() -> ListSink:
        sink = ListSink()
        checker = OutcomeChecker(sink, BrokenClock(), 10)
        checker.start()
        for number in range(3):
            checker.take(call(number), answered())
        flushing = asyncio.create_task(checker.flush())
        with pytest.raises(RuntimeError, match="the thread outcome-checker ended") as raised:
            await checker.follow()
        assert str(raised.value.__cause__) == "the clock is broken"
        following = asyncio.create_task(checker.follow())
        await asyncio.wait_for(flushing, 10)
        following.cancel()
        await checker.close()
        return sink

    assert [row.request_id for row in asyncio.run(run()).rows] == ["req_1", "req_2"]
