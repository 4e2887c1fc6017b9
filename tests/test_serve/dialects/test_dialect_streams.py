"""Answers keep their meaning on the way from one dialect to the other, whole or streamed, wherever the network cuts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import yaml
from checkout import FIXTURES
from dialect_strategies import answers
from hypothesis import given, settings
from hypothesis import strategies as st

from router.price_table import Cost, TokenUsage
from serve.dialects.anthropic.caller import MessagesCaller
from serve.dialects.anthropic.native import NativeMessages
from serve.dialects.anthropic.upstream import MessagesUpstream
from serve.dialects.bedrock.event_stream import MessageSplitter, StreamMessage, encode_message
from serve.dialects.bedrock.upstream import ConverseUpstream
from serve.dialects.exchange import Bill, StreamRelay
from serve.dialects.gemini.upstream import GeminiUpstream
from serve.dialects.neutral.answer import (
    AnswerEvent,
    Began,
    Counted,
    Failed,
    Finished,
    NeutralAnswer,
    ReasoningDelta,
    ReasoningHidden,
    ReasoningSigned,
    TextDelta,
    ToolArguments,
    ToolCallBegan,
    events_of,
)
from serve.dialects.neutral.parts import AssistantPart, ReasoningPart, TextPart, ToolCallPart
from serve.dialects.openai.caller import ChatCaller
from serve.dialects.openai.upstream import ChatUpstream
from serve.dialects.quirks import NO_QUIRKS
from serve.dialects.registry import caller_dialects, exchange_between, upstream_dialects
from serve.dialects.responses.upstream import ResponsesUpstream
from serve.dialects.sse import EventSplitter, encode_event, event_data
from serve.dialects.translation import UpstreamDialect

RECORDED = FIXTURES / "upstream"
FOLDERS = sorted(folder for folder in RECORDED.iterdir() if folder.is_dir())
ESTIMATE = 33


def bill_of(usage: TokenUsage) -> Bill:
    return Bill(Cost(usage.prompt_tokens * 3 + usage.completion_tokens * 5, 0, 0, 0), {"lane": "a/b"})


def recorded(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


def collect(events: list[AnswerEvent]) -> NeutralAnswer:
    """Put a stream together again."""
    parts: list[AssistantPart] = []
    answer = NeutralAnswer("", "", (), "stop", None)
    calls: dict[int, int] = {}
    for event in events:
        last = parts[-1] if parts else None
        if isinstance(event, Began):
            answer = NeutralAnswer(event.answer_id, event.upstream_model, (), "stop", None)
        elif isinstance(event, TextDelta):
            parts[-1:] = (
                [TextPart(last.text + event.text)]
                if isinstance(last, TextPart)
                else [*parts[-1:], TextPart(event.text)]
            )
        elif isinstance(event, ReasoningDelta):
            is_open = isinstance(last, ReasoningPart) and last.signature is None and last.encrypted is None
            before = cast("ReasoningPart", last).text if is_open else ""
            parts[-1:] = [*([] if is_open else parts[-1:]), ReasoningPart(before + event.text)]
        elif isinstance(event, ReasoningSigned):
            before = (
                cast("ReasoningPart", last).text if isinstance(last, ReasoningPart) and last.encrypted is None else ""
            )
            kept = (
                []
                if isinstance(last, ReasoningPart) and last.signature is None and last.encrypted is None
                else parts[-1:]
            )
            parts[-1:] = [*kept, ReasoningPart(before, event.signature, None, event.vendor)]
        elif isinstance(event, ReasoningHidden):
            parts.append(ReasoningPart("", None, event.encrypted, event.vendor))
        elif isinstance(event, ToolCallBegan):
            calls[event.number] = len(parts)
            parts.append(ToolCallPart(event.call_id, event.name, "", event.signature))
        elif isinstance(event, ToolArguments):
            call = cast("ToolCallPart", parts[calls[event.number]])
            parts[calls[event.number]] = ToolCallPart(
                call.call_id, call.name, call.arguments + event.json, call.signature
            )
        elif isinstance(event, Counted):
            answer = replace(answer, usage=event.usage)
        elif isinstance(event, Finished):
            answer = replace(answer, finish_reason=event.reason, stop_sequence=event.stop_sequence)
    return replace(answer, parts=tuple(parts))


def same(answer: NeutralAnswer) -> tuple[object, ...]:
    """Return the parts that must be equal; arguments as values, because their spelling may differ."""
    parts = [
        (part.call_id, part.name, msgspec.json.decode(part.arguments or "{}"), part.signature)
        if isinstance(part, ToolCallPart)
        else part
        for part in answer.parts
        if not (isinstance(part, TextPart) and not part.text)
    ]
    return parts, answer.finish_reason, answer.usage


def pieces(raw: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(raw) + 1) for place in places} | {len(raw)})
    return [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_recorded_body_says_where_it_comes_from(folder: Path) -> None:
    sources = yaml.safe_load((folder / "sources.yaml").read_text())
    assert set(sources) == {path.name for path in folder.iterdir()} - {"sources.yaml"}
    assert all({"invented", "from", "date"} == set(source) for source in sources.values())


WHOLE_AND_STREAM = [
    (ChatUpstream(), "llama-cpp/chat-answer.json", "llama-cpp/chat-stream.sse"),
    (ChatUpstream(), "openai/parallel-tools.json", "openai/parallel-tools.sse"),
    (ChatUpstream(), "openai/parallel-tools.json", "openai/tools-at-the-end.sse"),
    (MessagesUpstream(), "anthropic/answer.json", "anthropic/stream.sse"),
    (MessagesUpstream(), "anthropic/thinking-and-tools.json", "anthropic/thinking-and-tools.sse"),
    (GeminiUpstream(), "gemini/answer.json", "gemini/stream.sse"),
    (GeminiUpstream(), "gemini/thinking-and-tools.json", "gemini/thinking-and-tools.sse"),
    (ConverseUpstream(), "bedrock/answer.json", "bedrock/stream.eventstream"),
    (ConverseUpstream(), "bedrock/thinking-and-tools.json", "bedrock/thinking-and-tools.eventstream"),
    (ResponsesUpstream(), "responses/thinking-and-tools.json", "responses/thinking-and-tools.sse"),
]


@pytest.mark.parametrize(("upstream", "whole", "stream"), WHOLE_AND_STREAM)
@given(places=st.lists(st.integers(0, 100_000), max_size=12))
@settings(max_examples=20)
def test_a_stream_cut_anywhere_says_what_the_whole_answer_says(
    upstream: UpstreamDialect, whole: str, stream: str, places: list[int]
) -> None:
    reader = upstream.stream_reader(NO_QUIRKS)
    events = [event for piece in pieces(recorded(stream), places) for event in reader.feed(piece)]
    assert reader.is_done is not isinstance(upstream, GeminiUpstream)  # its streams have no end mark
    expected = upstream.read_answer(recorded(whole), NO_QUIRKS)
    result = collect(events)
    if whole.startswith("llama-cpp"):  # two questions, whose prompts were cached differently
        assert same(result)[:2] == same(expected)[:2]
    else:
        assert same(result) == same(expected)


@given(answers())
def test_an_answer_written_in_a_dialect_is_read_back_as_it_was(answer: NeutralAnswer) -> None:
    for caller, upstream in ((ChatCaller(), ChatUpstream()), (MessagesCaller(), MessagesUpstream())):
        usage = cast("TokenUsage", answer.usage)
        body = caller.write_answer(answer, usage, bill_of(usage))
        assert same(upstream.read_answer(msgspec.json.encode(body), NO_QUIRKS)) == same(answer)
        assert body["usage"]["cost"] == bill_of(usage).cost.total_nusd / 1e9
        assert body["llmdeal"] == {"lane": "a/b"}


def streamed(answer: NeutralAnswer) -> list[AnswerEvent]:
    events: list[AnswerEvent] = [Began(answer.answer_id, answer.upstream_model)]
    number = 0
    for part in answer.parts:
        if isinstance(part, TextPart):
            events += [TextDelta(part.text[:3]), *([TextDelta(part.text[3:])] if part.text[3:] else [])]
        elif isinstance(part, ReasoningPart):
            events += [ReasoningDelta(part.text), ReasoningSigned(part.signature or "", part.vendor or "")]
        else:
            events += [ToolCallBegan(number, part.call_id, part.name), ToolArguments(number, part.arguments)]
            number += 1
    return [*events, Finished(answer.finish_reason), Counted(cast("TokenUsage", answer.usage))]


@given(answers())
def test_a_stream_written_in_a_dialect_is_read_back_as_it_was(answer: NeutralAnswer) -> None:
    usage = cast("TokenUsage", answer.usage)
    for caller, upstream in ((ChatCaller(), ChatUpstream()), (MessagesCaller(), MessagesUpstream())):
        writer, reader = caller.stream_writer(), upstream.stream_reader(NO_QUIRKS)
        raw = b"".join(writer.write(event) for event in streamed(answer)) + writer.finish(usage, bill_of(usage))
        assert same(collect(reader.feed(raw))) == same(answer)
        assert reader.is_done


CALLERS, UPSTREAMS = caller_dialects(), upstream_dialects()
READABLE = sorted(CALLERS.keys() & UPSTREAMS.keys())
STREAMS = {
    "openai": ["llama-cpp/chat-stream.sse", "openai/parallel-tools.sse", "openai/usage-with-empty-choice.sse"],
    "anthropic": ["llama-cpp/messages-stream.sse", "anthropic/stream.sse", "anthropic/thinking-and-tools.sse"],
    "gemini": ["gemini/stream.sse", "gemini/thinking-and-tools.sse"],
    "bedrock": ["bedrock/stream.eventstream", "bedrock/thinking-and-tools.eventstream"],
    "responses": ["responses/thinking-and-tools.sse"],
}
WHOLES = {
    "openai": ["llama-cpp/chat-answer.json", "openai/parallel-tools.json"],
    "anthropic": ["llama-cpp/messages-answer.json", "anthropic/answer.json", "anthropic/thinking-and-tools.json"],
    "gemini": ["gemini/answer.json", "gemini/thinking-and-tools.json"],
    "bedrock": ["bedrock/answer.json", "bedrock/thinking-and-tools.json"],
    "responses": ["responses/thinking-and-tools.json"],
}


def relay_whole(relay: StreamRelay, raw: bytes) -> bytes:
    out = relay.feed(raw)
    assert relay.is_complete
    return out + relay.finish()


@pytest.mark.parametrize("caller", READABLE)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_every_pair_of_dialects_carries_streams_with_their_cost(caller: str, upstream: str) -> None:
    for name in STREAMS[upstream]:
        relay = exchange_between(caller, upstream).relay(ESTIMATE, bill_of, NO_QUIRKS)
        out = relay_whole(relay, recorded(name))
        expected = collect(UPSTREAMS[upstream].stream_reader(NO_QUIRKS).feed(recorded(name)))
        result = collect(UPSTREAMS[caller].stream_reader(NO_QUIRKS).feed(out))
        texts = [[part.text for part in answer.parts if isinstance(part, TextPart)] for answer in (result, expected)]
        assert texts[0] == texts[1]
        calls = [[part for part in answer.parts if isinstance(part, ToolCallPart)] for answer in (result, expected)]
        assert [replace(call, signature=None) for call in calls[0]] == [
            replace(call, signature=None) for call in calls[1]
        ]
        assert relay.usage == expected.usage
        costs = [body["usage"]["cost"] for body in bodies(out) if "cost" in (body.get("usage") or {})]
        assert costs == [bill_of(relay.usage).cost.total_nusd / 1e9]
        assert b'"llmdeal":{"lane":"a/b"}' in out


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_every_pair_of_dialects_costs_the_same_streamed_or_not(caller: str, upstream: str) -> None:
    exchange = exchange_between(caller, upstream)
    for whole, stream in ((whole, stream) for _, whole, stream in WHOLE_AND_STREAM if whole in WHOLES[upstream]):
        if whole.startswith("llama-cpp"):
            continue
        relay = exchange.relay(ESTIMATE, bill_of, NO_QUIRKS)
        relay_whole(relay, recorded(stream))
        reply = exchange.read_whole(recorded(whole), ESTIMATE, NO_QUIRKS)
        assert reply.usage == relay.usage
        assert reply.body(bill_of(reply.usage))["usage"]["cost"] == bill_of(relay.usage).cost.total_nusd / 1e9


def as_openai(answer: NeutralAnswer) -> tuple[bytes, bytes]:
    return written_by(ChatCaller(), answer)


def as_anthropic(answer: NeutralAnswer) -> tuple[bytes, bytes]:
    return written_by(MessagesCaller(), answer)


def written_by(writer: ChatCaller | MessagesCaller, answer: NeutralAnswer) -> tuple[bytes, bytes]:
    """Return an answer as a provider of the writer's dialect sends it: whole and streamed."""
    usage = answer.usage or TokenUsage(1, 1)
    bill = Bill(Cost(0, 0, 0, 0))
    stream = writer.stream_writer()
    streamed = b"".join(stream.write(event) for event in events_of(answer)) + stream.finish(usage, bill)
    return msgspec.json.encode(writer.write_answer(answer, usage, bill)), streamed


def as_gemini(answer: NeutralAnswer) -> tuple[bytes, bytes]:
    parts: list[dict[str, Any]] = []
    for part in answer.parts:
        if isinstance(part, TextPart):
            parts.append({"text": part.text})
        elif isinstance(part, ToolCallPart):
            args = msgspec.json.decode(part.arguments)
            parts.append({"functionCall": {"name": part.name, "id": part.call_id, "args": args}})
        else:
            parts.append({"text": part.text, "thought": True})
    usage = answer.usage or TokenUsage(1, 1)
    counts = {"promptTokenCount": usage.prompt_tokens, "candidatesTokenCount": usage.completion_tokens}
    end = {"finishReason": {"length": "MAX_TOKENS", "content_filter": "SAFETY"}.get(answer.finish_reason, "STOP")}

    def body(pieces: list[dict[str, Any]], last: dict[str, Any]) -> bytes:
        candidate = {"content": {"parts": pieces}, **last}
        named = {"responseId": "id-1", "modelVersion": "some-model", "usageMetadata": counts}
        return msgspec.json.encode({"candidates": [candidate], **named})

    streamed = [body([part], {}) for part in parts] + [body([], end)]
    return body(parts, end), b"".join(encode_event(event) for event in streamed)


def completed(out: bytes) -> tuple[str, str]:
    """Return the text and the finish reason of a streamed completion."""
    choices = [choice for body in bodies(out) for choice in body["choices"]]
    (reason,) = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return "".join(choice["text"] for choice in choices), reason


def without_ids(value: Any) -> Any:
    """Return a response without what is drawn for every answer."""
    if isinstance(value, dict):
        drawn = {"id", "created_at"} | ({"sequence_number"} if "type" in value else set())
        return {name: without_ids(inner) for name, inner in value.items() if name not in drawn}
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(
    ("upstream", "sent"), [("openai", as_openai), ("anthropic", as_anthropic), ("gemini", as_gemini)]
)
@settings(max_examples=40)
@given(answer=answers(), places=st.lists(st.integers(0, 10_000), max_size=5))
def test_every_pair_of_dialects_says_the_same_streamed_or_not(
    caller: str,
    upstream: str,
    sent: Callable[[NeutralAnswer], tuple[bytes, bytes]],
    answer: NeutralAnswer,
    places: list[int],
) -> None:
    whole, stream = sent(answer)
    exchange = exchange_between(caller, upstream)
    reply = exchange.read_whole(whole, ESTIMATE, NO_QUIRKS)
    body = msgspec.json.decode(msgspec.json.encode(reply.body(bill_of(reply.usage))))
    relay = exchange.relay(ESTIMATE, bill_of, NO_QUIRKS)
    out = b"".join(relay.feed(piece) for piece in pieces(stream, places)) + relay.finish()
    assert relay.usage == reply.usage
    if caller == "completions":
        assert completed(out) == (body["choices"][0]["text"], body["choices"][0]["finish_reason"])
        return
    if caller not in UPSTREAMS:
        assert without_ids(bodies(out)[-1]["response"]) == without_ids(body)
        return
    read = UPSTREAMS[caller].read_answer(msgspec.json.encode(body), NO_QUIRKS)
    streamed = collect(UPSTREAMS[caller].stream_reader(NO_QUIRKS).feed(out))
    assert same(streamed) == same(read)
    assert (streamed.upstream_model, streamed.stop_sequence) == (read.upstream_model, read.stop_sequence)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(
    ("upstream", "sent"), [("openai", as_openai), ("anthropic", as_anthropic), ("gemini", as_gemini)]
)
@settings(max_examples=15)
@given(answer=answers())
def test_a_whole_answer_to_a_request_for_a_stream_is_sent_as_a_stream(
    caller: str, upstream: str, sent: Callable[[NeutralAnswer], tuple[bytes, bytes]], answer: NeutralAnswer
) -> None:
    whole, _ = sent(answer)
    exchange = exchange_between(caller, upstream)
    relay = exchange.relay_whole(whole, ESTIMATE, bill_of, NO_QUIRKS)
    out = relay.feed(b"") + relay.finish()
    reply = exchange.read_whole(whole, ESTIMATE, NO_QUIRKS)
    assert relay.usage == reply.usage
    if caller == "completions":
        choice = reply.body(bill_of(reply.usage))["choices"][0]
        assert completed(out) == (choice["text"], choice["finish_reason"])
    elif caller in UPSTREAMS:
        read = UPSTREAMS[caller].read_answer(msgspec.json.encode(reply.body(bill_of(reply.usage))), NO_QUIRKS)
        assert same(collect(UPSTREAMS[caller].stream_reader(NO_QUIRKS).feed(out))) == same(read)
    else:
        assert bodies(out)[-1]["response"]["status"] in ("completed", "incomplete")


def bodies(raw: bytes) -> list[dict[str, Any]]:
    data = [event_data(event) for event in EventSplitter().feed(raw)]
    decoded = [msgspec.json.decode(each) for each in data if each is not None and each != b"[DONE]"]
    return [body.get("response", body) for body in decoded]  # the last event of Responses has the whole response


def test_a_messages_stream_is_passed_on_byte_for_byte_up_to_its_usage() -> None:
    raw = recorded("anthropic/thinking-and-tools.sse")
    out = relay_whole(NativeMessages().relay(ESTIMATE, bill_of, NO_QUIRKS), raw)
    head, tail = raw.split(b"event: message_delta")
    assert out.startswith(head)
    assert out.endswith(b"event: message_stop" + raw.split(b"event: message_stop")[1])
    assert len(tail) > 0


def test_cached_tokens_lie_outside_at_anthropic_and_inside_here() -> None:
    usage = MessagesUpstream().read_answer(recorded("anthropic/thinking-and-tools.json"), NO_QUIRKS).usage
    assert usage == TokenUsage(525, 89, 400, 100, 20, False, 40)


def test_thoughts_lie_outside_at_gemini_and_inside_here() -> None:
    usage = GeminiUpstream().read_answer(recorded("gemini/thinking-and-tools.json"), NO_QUIRKS).usage
    assert usage == TokenUsage(525, 89, 400, 0, 20)


def test_a_prompt_that_gemini_blocks_is_an_answer_that_says_so() -> None:
    answer = GeminiUpstream().read_answer(recorded("gemini/blocked.json"), NO_QUIRKS)
    assert (answer.parts, answer.finish_reason) == ((), "content_filter")


def test_tool_calls_end_with_tool_use_even_where_the_back_end_says_stop() -> None:
    events = ChatUpstream().stream_reader(NO_QUIRKS).feed(recorded("openai/tools-at-the-end.sse"))
    assert Finished("tool_calls") in events


def test_a_stream_that_fails_inside_says_so_in_the_callers_dialect() -> None:
    raw = recorded("anthropic/overloaded.sse")
    for caller, mark in (("openai", b'"finish_reason":"error"'), ("anthropic", b'"type":"api_error"')):
        relay = exchange_between(caller, "anthropic").relay(ESTIMATE, bill_of, NO_QUIRKS)
        out = relay.feed(raw)
        assert b"Par" in out
        assert relay.error == "Overloaded"
        assert not relay.is_complete
        assert mark in relay.break_off("broken", "stream_broken")


def test_a_last_event_without_its_end_is_read_all_the_same() -> None:
    raw = recorded("openai/parallel-tools.sse").removesuffix(b"\n\ndata: [DONE]\n\n")
    relay = exchange_between("anthropic", "openai").relay(ESTIMATE, bill_of, NO_QUIRKS)
    out = relay_whole(relay, raw)
    assert relay.usage == TokenUsage(525, 89, 400, 100, 20)
    assert b'"output_tokens":89' in out


def test_a_stream_that_stops_short_is_charged_for_what_came() -> None:
    for caller in CALLERS:
        relay = exchange_between(caller, "anthropic").relay(ESTIMATE, bill_of, NO_QUIRKS)
        relay.feed(recorded("anthropic/broken.sse"))
        assert not relay.is_complete
        assert relay.usage.is_estimated
        assert relay.usage.completion_tokens > 0


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.text("abc:-", min_size=1, max_size=9), st.text(max_size=9), max_size=3),
            st.binary(max_size=40),
        ),
        max_size=5,
    ),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_any_cut_of_amazons_event_stream_gives_the_same_messages(
    messages: list[tuple[dict[str, str], bytes]], places: list[int]
) -> None:
    raw = b"".join(encode_message(headers, payload) for headers, payload in messages)
    splitter = MessageSplitter()
    result = [message for piece in pieces(raw, places) for message in splitter.feed(piece)]
    assert result == [StreamMessage(headers, payload) for headers, payload in messages]


@given(st.data())
def test_a_damaged_event_stream_is_noticed(data: st.DataObject) -> None:
    raw = bytearray(encode_message({":event-type": "messageStart"}, b'{"role": "assistant"}'))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    splitter = MessageSplitter()
    try:
        assert splitter.feed(bytes(raw)) == []  # a longer message was announced, and its first checksum tells
    except ValueError:
        return
    pytest.fail("nothing was noticed")


def test_an_exception_in_amazons_stream_is_a_failure() -> None:
    raw = encode_message(
        {":message-type": "exception", ":exception-type": "throttlingException"}, b'{"message": "Too many"}'
    )
    assert ConverseUpstream().stream_reader(NO_QUIRKS).feed(raw) == [Failed("Too many")]


NOT_ANSWERS: list[Callable[[], object]] = [
    lambda: ChatUpstream().read_answer(b"<html>", NO_QUIRKS),
    lambda: ChatUpstream().read_answer(b'{"choices": []}', NO_QUIRKS),
    lambda: MessagesUpstream().read_answer(b"[]", NO_QUIRKS),
    lambda: MessagesUpstream().read_answer(b"{}", NO_QUIRKS),
    lambda: GeminiUpstream().read_answer(b"{}", NO_QUIRKS),
    lambda: GeminiUpstream().read_answer(recorded("gemini/malformed-call.json"), NO_QUIRKS),
    lambda: GeminiUpstream().stream_reader(NO_QUIRKS).feed(b"data: <html>\n\n"),
    lambda: ConverseUpstream().read_answer(b"{}", NO_QUIRKS),
    lambda: ConverseUpstream().stream_reader(NO_QUIRKS).feed(b"data: <html>\n\n"),
    lambda: ChatUpstream().stream_reader(NO_QUIRKS).feed(b"data: <html>\n\n"),
    lambda: MessagesUpstream().stream_reader(NO_QUIRKS).feed(b"data: <html>\n\n"),
]


@pytest.mark.parametrize("read", NOT_ANSWERS)
def test_what_is_no_answer_is_not_taken_for_one(read: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"not a|not of|not Amazon|no chat|none of|was broken"):
        read()
