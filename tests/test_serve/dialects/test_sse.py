"""Event streams survive any cut of the network."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.price_table import Cost, TokenUsage
from serve.dialects.exchange import Bill
from serve.dialects.openai.stream_relay import ChatStreamRelay
from serve.dialects.sse import EventSplitter, encode_event, event_data

texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
lines = st.sampled_from(["data: ", "data:", ": ", "event: "])
newlines = st.sampled_from(["\n", "\r\n"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    newline = draw(newlines)
    events = draw(st.lists(st.lists(st.tuples(lines, texts), min_size=1, max_size=3), max_size=6))
    return "".join("".join(f"{field}{text}{newline}" for field, text in event) + newline for event in events).encode()


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(stream) + 1) for place in places} | {len(stream)})
    return [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(streams(), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_cut_of_a_stream_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    whole, pieces = EventSplitter(), EventSplitter()
    together = whole.feed(stream)
    apart = [event for chunk in cut(stream, places) for event in pieces.feed(chunk)]
    assert apart == together
    assert b"".join(together) + whole.pending == stream


def test_data_of_several_lines_is_joined_and_comments_have_none() -> None:
    assert event_data(b"data: a\ndata: b\n\n") == b"a\nb"
    assert event_data(b"data:a\r\n\r\n") == b"a"
    assert event_data(b": keep-alive\n\n") is None
    assert event_data(encode_event(b"{}")) == b"{}"


def test_an_event_without_end_is_a_broken_stream_and_not_an_endless_buffer() -> None:
    splitter = EventSplitter(max_event_bytes=100)
    with pytest.raises(ValueError, match="100 bytes"):
        splitter.feed(b"data: " + b"x" * 200)


def relay(**options: bool) -> ChatStreamRelay:
    return ChatStreamRelay(7, lambda usage: Bill(Cost(usage.completion_tokens * 10, 0, 0, 0)), **options)


def chunk(content: str = "", finish_reason: str | None = None, **others: object) -> bytes:
    body = {
        "id": "c1",
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}],
    }
    return encode_event(msgspec.json.encode({**body, **others}))


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


@given(st.lists(st.integers(0, 10_000), max_size=8), newlines)
def test_any_cut_is_relayed_byte_for_byte_but_for_the_usage(places: list[int], newline: str) -> None:
    body = chunk("héllo") + b": note\n\n" + chunk("", "stop")
    body = body.replace(b"\n", newline.encode())
    stream = (
        body + encode_event(msgspec.json.encode({"id": "c1", "choices": [], "usage": USAGE})) + encode_event(b"[DONE]")
    )
    passing = relay()
    out = b"".join(passing.feed(piece) for piece in cut(stream, places)) + passing.finish()
    assert out.startswith(body)
    tail = [event_data(event) for event in EventSplitter().feed(out[len(body) :])]
    assert tail[-1] == b"[DONE]"
    assert len(tail) == 2
    assert msgspec.json.decode(tail[0] or b"")["usage"]["cost"] == pytest.approx(2e-8)
    assert passing.is_complete
    assert passing.usage == TokenUsage(5, 2)


KINDS = [
    chunk("some"),
    chunk(" words"),
    chunk("", "stop"),
    chunk("x", usage=None),
    chunk("", usage=USAGE),
    chunk("y", x_groq={"usage": USAGE}),
    chunk(error={"message": "broke"}),
    b": note\n\n",
    b"event: ping\ndata: {}\n\n",
    b"data: {broken\n\n",
    b"data:{}\r\n\r\n",
    encode_event(b"[DONE]"),
    b"\n\n",
]


def escaped(content: str) -> bytes:
    """Return a chunk as Python's own encoder writes it: with blanks, and with only ASCII characters."""
    choices = [{"index": 0, "delta": {"content": content}, "finish_reason": None}]
    return encode_event(json.dumps({"id": "c1", "model": "m", "choices": choices}).encode())


words = st.one_of(st.sampled_from(["a", "é", "\n", '"', "\\", "\\n", "😀", "data: x", ""]), st.text(max_size=5))
odd_words = st.sampled_from(
    [
        chunk("a").replace(b'"a"', inside)
        for inside in (b'"\\"', b'"\xff"', b'"\\ud83d"', b'"a"b"', b'"a\n\nb"', b"null")
    ]
)
any_event = st.one_of(st.sampled_from(KINDS), odd_words, words.map(chunk), words.map(escaped))


@given(
    st.one_of(
        st.lists(any_event, max_size=12),
        st.lists(words.map(chunk), max_size=30),
        st.lists(words.map(escaped), max_size=30),
    ),
    st.lists(st.integers(0, 10_000), max_size=4),
)
def test_events_that_come_together_are_relayed_as_one_by_one(events: list[bytes], places: list[int]) -> None:
    stream = b"".join(events)
    apart, together = relay(), relay()
    out = b"".join(apart.feed(event) for event in events)
    assert b"".join(together.feed(piece) for piece in cut(stream, places)) == out
    for name in ("characters", "finish_reason", "has_content", "is_done", "error", "usage"):
        assert getattr(together, name) == getattr(apart, name), name
    assert together.finish() == apart.finish()


@pytest.mark.parametrize("choices", [[], [{"index": 0, "delta": {}, "finish_reason": None}]])
def test_a_usage_chunk_may_have_no_choice_or_an_empty_one(choices: list[object]) -> None:
    passing = relay()
    passing.feed(chunk("hi", "stop") + encode_event(msgspec.json.encode({"choices": choices, "usage": USAGE})))
    assert passing.usage == TokenUsage(5, 2)


def test_usage_that_is_null_in_every_chunk_is_not_usage() -> None:
    passing = relay()
    event = chunk("hi", usage=None)
    assert passing.feed(event) == event
    assert passing.usage.is_estimated


def test_usage_of_zero_tokens_is_zero_and_not_missing() -> None:
    passing = relay()
    passing.feed(
        encode_event(msgspec.json.encode({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 0}}))
    )
    assert passing.usage == TokenUsage(5, 0)


def test_groqs_usage_beside_the_chunk_counts() -> None:
    passing = relay()
    passing.feed(chunk("hi", "stop", x_groq={"id": "x", "usage": USAGE}))
    assert passing.usage == TokenUsage(5, 2)


def test_reasoning_counted_beside_the_completion_is_added_where_the_provider_does_so() -> None:
    block = {"prompt_tokens": 5, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 30}}
    event = encode_event(msgspec.json.encode({"choices": [], "usage": block}))
    outside, inside = relay(is_reasoning_outside=True), relay()
    outside.feed(event)
    inside.feed(event)
    assert outside.usage.completion_tokens == 32
    assert inside.usage.completion_tokens == 2


def test_a_stream_without_usage_ends_with_our_estimate() -> None:
    passing = relay()
    passing.feed(chunk("12345678") + chunk("", "stop") + encode_event(b"[DONE]"))
    usage_event = EventSplitter().feed(passing.finish())[0]
    usage = msgspec.json.decode(event_data(usage_event) or b"")["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (7, 2)
    assert usage["cost_details"]["is_estimated"] is True


@pytest.mark.parametrize("has_usage", [True, False])
@given(places=st.lists(st.integers(0, 10_000), max_size=8))
def test_a_caller_who_asks_for_no_usage_chunk_gets_the_usage_with_the_finish_reason(
    has_usage: bool, places: list[int]
) -> None:
    words = b"".join(chunk(word) for word in ("a", "b", "c", "d", "e"))
    usage = encode_event(msgspec.json.encode({"id": "c1", "choices": [], "usage": USAGE})) if has_usage else b""
    passing = relay(has_usage_chunk=False)
    stream = words + chunk("", "stop") + usage + encode_event(b"[DONE]")
    out = b"".join(passing.feed(piece) for piece in cut(stream, places)) + passing.finish()
    assert out.startswith(words)
    tail = [event_data(event) or b"" for event in EventSplitter().feed(out[len(words) :])]
    assert tail[-1] == b"[DONE]"
    (last,) = [msgspec.json.decode(event) for event in tail[:-1]]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["prompt_tokens"] == (5 if has_usage else 7)
    assert last["usage"]["cost_details"]["is_estimated"] is not has_usage
    assert passing.is_complete


def test_a_stream_that_stops_short_is_not_complete_and_ends_with_an_error_in_band() -> None:
    passing = relay()
    passing.feed(chunk("half an ans"))
    assert not passing.is_complete
    events = [
        event_data(event) or b"" for event in EventSplitter().feed(passing.break_off("it broke", "stream_broken"))
    ]
    error = msgspec.json.decode(events[0])
    assert error["error"]["code"] == "stream_broken"
    assert error["choices"][0]["finish_reason"] == "error"
    assert events[-1] == b"[DONE]"


def test_an_error_event_of_the_provider_is_noticed() -> None:
    passing = relay()
    passing.feed(encode_event(b'{"error": {"message": "overloaded"}}'))
    assert passing.error is not None
    assert not passing.has_content
