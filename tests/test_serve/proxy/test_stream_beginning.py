"""A stream begins with its first content; until then another lane can answer."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from router.price_table import Cost, TokenUsage
from serve.dialects.exchange import Bill, StreamRelay
from serve.dialects.openai.native import NativeChat
from serve.dialects.quirks import NO_QUIRKS
from serve.proxy.stream_beginning import StreamBeginning
from serve.proxy.verdict import Verdict

ROLE = b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
WORD = b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\n'
COMMENT = b": PROCESSING\n\n"
END = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
ERROR = b'data: {"error": {"code": 502, "message": "gone"}, "choices": []}\n\n'


class Failed(Exception):  # noqa: N818 - stands for the attempt's own
    pass


class FakeAttempt:
    def __init__(self, content_type: str = "text/event-stream") -> None:
        self.n_noted = 0
        self.timing = SimpleNamespace(note_first_byte=self._note)
        self.answer = SimpleNamespace(raw=None, headers={"content-type": content_type})

    def _note(self) -> None:
        self.n_noted += 1

    def failed_inside(self, text: str, otherwise: str, verdict: Verdict | None = None) -> Failed:
        return Failed(text, otherwise)


def bill_of(usage: TokenUsage) -> Bill:
    return Bill(Cost(0, 0, 0, 0))


def beginning_of(
    pieces: list[bytes], attempt: FakeAttempt, patience_s: float | None = None, pause_s: float = 0.0
) -> StreamBeginning:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(pause_s)

    exchange = NativeChat()

    def whole(raw: bytes) -> StreamRelay:
        return exchange.relay_whole(raw, 1, bill_of, NO_QUIRKS)

    relay = exchange.relay(1, bill_of, NO_QUIRKS)
    fake: Any = attempt
    return StreamBeginning(fake, relay, whole, chunks(), patience_s, keeps_pieces=True)


async def rest_of(beginning: StreamBeginning) -> bytes:
    return b"".join([chunk async for chunk in beginning.rest()])


@pytest.mark.parametrize("patience_s", [None, 5.0])
def test_what_comes_before_the_first_content_is_no_beginning(patience_s: float | None) -> None:
    async def read() -> None:
        attempt = FakeAttempt()
        beginning = beginning_of([COMMENT, ROLE, WORD, END], attempt, patience_s)
        assert await beginning.read() == COMMENT + ROLE + WORD
        assert attempt.n_noted == 1
        assert attempt.answer.raw == [COMMENT, ROLE, WORD]
        assert await rest_of(beginning) == END

    asyncio.run(read())


@pytest.mark.parametrize("pieces", [[], [COMMENT], [COMMENT, ROLE], [COMMENT, ERROR], [ERROR], [COMMENT, ROLE, ERROR]])
def test_a_stream_that_fails_before_its_first_content_is_a_failed_attempt(pieces: list[bytes]) -> None:
    attempt = FakeAttempt()
    with pytest.raises(Failed):
        asyncio.run(beginning_of(pieces, attempt, 5.0).read())
    assert attempt.n_noted == 0


def test_an_empty_answer_that_says_it_is_complete_is_an_answer() -> None:
    assert END[:-14] in asyncio.run(beginning_of([ROLE, END], FakeAttempt(), 5.0).read())


def test_a_stream_that_stays_silent_after_its_first_bytes_has_begun() -> None:
    async def read() -> None:
        beginning = beginning_of([ROLE, WORD, END], FakeAttempt(), 0.01, pause_s=0.05)
        assert await beginning.read() == ROLE
        assert await rest_of(beginning) == WORD + END

    asyncio.run(read())


def test_json_with_an_answer_becomes_a_stream_and_json_with_an_error_fails() -> None:
    answer = b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}'
    beginning = beginning_of([answer[:20], answer[20:]], FakeAttempt("application/json"))
    assert asyncio.run(beginning.read()) == b""
    assert b'"content":"hi"' in beginning.relay.finish()
    with pytest.raises(Failed, match="no credit"):
        asyncio.run(beginning_of([b'{"error": "no credit"}'], FakeAttempt("application/json")).read())
