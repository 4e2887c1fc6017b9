"""A beginning that the caller gave is not repeated, whatever server answers and whichever door asks."""

from typing import Any

import msgspec
import pytest

from router.price_table import Cost
from serve.dialects.exchange import Bill
from serve.dialects.prefill import prefill_of
from serve.dialects.quirks import NO_QUIRKS
from serve.dialects.registry import exchange_between
from serve.http.doors import CHAT, MESSAGES, RESPONSES

ASKED: dict[str, dict[str, Any]] = {
    "openai": {"messages": [{"role": "user", "content": "Capital?"}, {"role": "assistant", "content": "It is"}]},
    "anthropic": {
        "messages": [
            {"role": "user", "content": "Capital?"},
            {"role": "assistant", "content": [{"type": "text", "text": "It is"}]},
        ]
    },
    "responses": {"input": [{"role": "user", "content": "Capital?"}, {"role": "assistant", "content": "It is"}]},
}
DOORS = {"openai": CHAT, "anthropic": MESSAGES, "responses": RESPONSES}
MARKS = [{"timings": {"prompt_n": 3}}, {"system_fingerprint": "b4321-abcdef"}]


def answer(text: str, **others: object) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return msgspec.json.encode({"id": "c", "model": "m", "choices": [choice], **others})


def text_for(door: str, raw: bytes, body: dict[str, Any]) -> str | None:
    inquiry = DOORS[door].read(msgspec.json.encode({"model": "m", "max_tokens": 9, **body}))
    reply = exchange_between(door, "openai").read_whole(raw, 1, NO_QUIRKS, inquiry)
    shown = msgspec.json.encode(reply.body(Bill(Cost(0, 0, 0, 0)))).decode()
    assert f'"{reply.text}"' in shown
    return reply.text


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("door", sorted(ASKED))
def test_a_beginning_that_llama_cpp_repeats_is_taken_off(door: str, mark: dict[str, Any]) -> None:
    assert text_for(door, answer("It is Paris.", **mark), ASKED[door]) == " Paris."
    assert text_for(door, answer(" Paris.", **mark), ASKED[door]) == " Paris."


@pytest.mark.parametrize("door", sorted(ASKED))
def test_other_servers_may_begin_with_the_same_words(door: str) -> None:
    assert text_for(door, answer("It is, it is!"), ASKED[door]) == "It is, it is!"


def test_a_conversation_that_ends_with_its_user_has_no_beginning() -> None:
    assert prefill_of({"messages": [{"role": "user", "content": "It is"}]}) is None
    assert prefill_of({"input": "It is"}) is None
    assert prefill_of({"prompt": "It is"}) is None
    assert prefill_of({"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}]}) is None
