"""Bedrock's Converse, for callers of other dialects."""

from typing import Any

import msgspec
from msgspec import Struct

from router.lane import Lane
from router.price_table import TokenUsage
from serve.dialects.bedrock.event_stream import MessageSplitter, StreamMessage
from serve.dialects.bedrock.request_writer import write_request
from serve.dialects.neutral.answer import (
    AnswerEvent,
    Began,
    Counted,
    Failed,
    Finished,
    FinishReason,
    NeutralAnswer,
    ReasoningDelta,
    ReasoningHidden,
    ReasoningSigned,
    TextDelta,
    ToolArguments,
    ToolCallBegan,
)
from serve.dialects.neutral.parts import AssistantPart, ReasoningPart, TextPart, ToolCallPart
from serve.dialects.neutral.request import NeutralRequest
from serve.dialects.provider_json import decoded
from serve.dialects.quirks import Quirks

_VENDOR = "anthropic"  # the only vendor with signed thoughts in Converse
_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "model_context_window_exceeded": "context_length",
}


class _ToolUse(Struct, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    input: Any = None


class _ReasoningText(Struct):
    text: str = ""
    signature: str | None = None


class _Reasoning(Struct, rename="camel"):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None
    text: str | None = None
    signature: str | None = None


class _Block(Struct, rename="camel"):
    """A content block, the start of one, or a piece of one."""

    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None


class _Message(Struct):
    content: list[_Block] = []


class _Output(Struct):
    message: _Message | None = None


class _Usage(Struct, rename="camel"):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None


class _Response(Struct, rename="camel"):
    output: _Output | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None


class _Event(Struct, rename="camel"):
    """The payload of any event of the stream."""

    start: _Block | None = None
    delta: _Block | None = None
    content_block_index: int = 0
    stop_reason: str | None = None
    usage: _Usage | None = None
    message: str | None = None


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class ConverseUpstream:
    """See `serve.dialects.translation.UpstreamDialect`. Answers have neither an id nor the model's name."""

    def encode_request(self, request: NeutralRequest, lane: Lane, quirks: Quirks) -> bytes:
        """Return the body to send."""
        return msgspec.json.encode(write_request(request, lane, quirks))

    def read_answer(self, raw: bytes, quirks: Quirks) -> NeutralAnswer:
        """Return a whole answer.

        Raises:
            ValueError: The bytes are not an answer in this dialect.
        """
        response = decoded(_decode_response, raw, "the provider's answer is not of Converse")
        if response.output is None or response.output.message is None:
            raise ValueError("the provider's answer is not of Converse: it has no message")
        parts = tuple(part for block in response.output.message.content if (part := _part(block)) is not None)
        return NeutralAnswer("", "", parts, _reason(response.stop_reason), _usage(response.usage))

    def stream_reader(self, quirks: Quirks) -> "ConverseStreamReader":
        """Return a reader for one stream."""
        return ConverseStreamReader()


class ConverseStreamReader:
    """See `serve.dialects.translation.StreamReader`."""

    def __init__(self) -> None:
        self._splitter = MessageSplitter()
        self._numbers: dict[int, int] = {}  # index of a block -> number of the call in it
        self.is_done = False

    def feed(self, chunk: bytes) -> list[AnswerEvent]:
        """Return the events that these bytes complete."""
        events: list[AnswerEvent] = []
        for message in self._splitter.feed(chunk):
            self._read(message, events)
        return events

    def _read(self, message: StreamMessage, events: list[AnswerEvent]) -> None:
        headers = message.headers
        event = decoded(_decode_event, message.payload, "an event is none of a Converse stream")
        if headers.get(":message-type", "event") != "event":
            events.append(Failed(event.message or headers.get(":exception-type") or "the provider failed"))
            return
        kind = headers.get(":event-type")
        if kind == "contentBlockDelta" and event.delta is not None:
            self._read_delta(event.delta, event.content_block_index, events)
        elif kind == "contentBlockStart" and event.start is not None and (call := event.start.tool_use) is not None:
            number = self._numbers[event.content_block_index] = len(self._numbers)
            events.append(ToolCallBegan(number, call.tool_use_id, call.name))
        elif kind == "messageStart":
            events.append(Began("", ""))
        elif kind == "messageStop":
            events.append(Finished(_reason(event.stop_reason)))
        elif kind == "metadata":
            if (usage := _usage(event.usage)) is not None:
                events.append(Counted(usage))
            self.is_done = True

    def _read_delta(self, delta: _Block, index: int, events: list[AnswerEvent]) -> None:
        if delta.text:
            events.append(TextDelta(delta.text))
        elif delta.tool_use is not None and isinstance(delta.tool_use.input, str) and delta.tool_use.input:
            events.append(ToolArguments(self._numbers.get(index, 0), delta.tool_use.input))
        elif (thought := delta.reasoning_content) is not None:
            if thought.text:
                events.append(ReasoningDelta(thought.text))
            if thought.signature:
                events.append(ReasoningSigned(thought.signature, _VENDOR))
            if thought.redacted_content:
                events.append(ReasoningHidden(thought.redacted_content, _VENDOR))


def _part(block: _Block) -> AssistantPart | None:
    if block.text is not None:
        return TextPart(block.text)
    if (call := block.tool_use) is not None:
        return ToolCallPart(call.tool_use_id, call.name, msgspec.json.encode(call.input or {}).decode())
    thought = block.reasoning_content
    if thought is None:
        return None
    if thought.redacted_content is not None:
        return ReasoningPart("", encrypted=thought.redacted_content, vendor=_VENDOR)
    signed = thought.reasoning_text or _ReasoningText()
    return ReasoningPart(signed.text, signed.signature, vendor=_VENDOR if signed.signature else None)


def _reason(stop_reason: str | None) -> FinishReason:
    return _REASONS.get(stop_reason or "end_turn", "stop")


def _usage(usage: _Usage | None) -> TokenUsage | None:
    """Return the tokens. In this dialect `inputTokens` leaves out those of the cache."""
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return None
    cached, written = max(usage.cache_read_input_tokens or 0, 0), max(usage.cache_write_input_tokens or 0, 0)
    return TokenUsage(
        prompt_tokens=max(usage.input_tokens or 0, 0) + cached + written,
        completion_tokens=max(usage.output_tokens or 0, 0),
        cached_tokens=cached,
        cache_write_tokens=written,
    )
