"""Anthropic's Messages, for callers of other dialects."""

from typing import Any

import msgspec
from msgspec import Struct

from router.lane import Lane
from serve.dialects.anthropic.blocks import VENDOR
from serve.dialects.anthropic.request_writer import write_request
from serve.dialects.anthropic.usage import Usage, read_usage
from serve.dialects.lenient import as_text, words_of
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
from serve.dialects.neutral.parts import AssistantPart, ReasoningPart, TextPart, ToolCallPart, arguments_text
from serve.dialects.neutral.request import NeutralRequest
from serve.dialects.provider_json import SseStreamReader, decoded
from serve.dialects.quirks import Quirks

_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "model_context_window_exceeded": "context_length",
    "pause_turn": "pause",
}


class Block(Struct):
    """A content block of an answer; which fields it has depends on its type."""

    type: str = ""
    text: Any = None
    thinking: Any = None
    signature: Any = None
    data: Any = None
    id: Any = None
    name: Any = None
    input: Any = None


class Message(Struct):
    """An answer, or its beginning."""

    id: Any = None
    model: Any = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_sequence: Any = None
    usage: Usage | None = None


class Delta(Struct):
    """A piece of a block, or the end of the message."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: Any = None


class StreamEvent(Struct):
    """Any event of the stream."""

    type: str
    message: Message | None = None
    index: int = 0
    content_block: Block | None = None
    delta: Delta | None = None
    usage: Usage | None = None
    error: Any = None


_decode_message = msgspec.json.Decoder(Message).decode
decode_event = msgspec.json.Decoder(StreamEvent).decode


class MessagesUpstream:
    """See `serve.dialects.translation.UpstreamDialect`."""

    def encode_request(self, request: NeutralRequest, lane: Lane, quirks: Quirks) -> bytes:
        """Return the body to send."""
        return msgspec.json.encode(write_request(request, lane, quirks))

    def read_answer(self, raw: bytes, quirks: Quirks) -> NeutralAnswer:
        """Return a whole answer.

        Raises:
            ValueError: The bytes are not an answer in this dialect.
        """
        message = read_message(raw)
        return NeutralAnswer(
            as_text(message.id) or "",
            as_text(message.model) or "",
            tuple(part for block in message.content or () if (part := _part(block)) is not None),
            reason_of(message.stop_reason),
            read_usage(message.usage),
            as_text(message.stop_sequence),
        )

    def stream_reader(self, quirks: Quirks) -> "MessagesStreamReader":
        """Return a reader for one stream."""
        return MessagesStreamReader()


class MessagesStreamReader(SseStreamReader[StreamEvent]):
    """See `serve.dialects.translation.StreamReader`."""

    def __init__(self) -> None:
        super().__init__(decode_event, "an event is none of a Messages stream")
        self._usage = Usage()
        self._numbers: dict[int, int] = {}  # index of a block -> number of the call in it

    def _read(self, event: StreamEvent, events: list[AnswerEvent]) -> None:
        if event.type == "content_block_delta" and event.delta is not None:
            self._read_delta(event.delta, event.index, events)
        elif event.type == "content_block_start" and event.content_block is not None:
            self._read_start(event.content_block, event.index, events)
        elif event.type == "message_start" and event.message is not None:
            self._count(event.message.usage)
            name, model = as_text(event.message.id) or "", as_text(event.message.model) or ""
            events.append(Began(name, model, read_usage(self._usage)))
        elif event.type == "message_delta":
            self._count(event.usage)
            if (usage := read_usage(self._usage)) is not None:
                events.append(Counted(usage))
            if event.delta is not None and event.delta.stop_reason:
                events.append(Finished(reason_of(event.delta.stop_reason), as_text(event.delta.stop_sequence)))
        elif event.type == "message_stop":
            self.is_done = True
        elif event.type == "error":
            events.append(Failed(words_of(event.error)))

    def _count(self, usage: Usage | None) -> None:
        if usage is not None:
            self._usage = self._usage.updated(usage)

    def _read_start(self, block: Block, index: int, events: list[AnswerEvent]) -> None:
        if block.type == "tool_use":
            number = self._numbers[index] = len(self._numbers)
            events.append(ToolCallBegan(number, as_text(block.id) or f"toolu_{number}", as_text(block.name) or ""))
            if block.input:  # some back-ends send all arguments at once
                events.append(ToolArguments(number, arguments_text(block.input)))
        elif block.type == "redacted_thinking" and (data := as_text(block.data)):
            events.append(ReasoningHidden(data, VENDOR))
        elif block.type == "text" and (text := as_text(block.text)):
            events.append(TextDelta(text))
        elif block.type == "thinking" and (thought := as_text(block.thinking)):
            events.append(ReasoningDelta(thought))

    def _read_delta(self, delta: Delta, index: int, events: list[AnswerEvent]) -> None:
        if delta.text:
            events.append(TextDelta(delta.text))
        elif delta.partial_json:
            events.append(ToolArguments(self._numbers.get(index, 0), delta.partial_json))
        elif delta.thinking:
            events.append(ReasoningDelta(delta.thinking))
        elif delta.signature:
            events.append(ReasoningSigned(delta.signature, VENDOR))


def read_message(raw: bytes) -> Message:
    """Return a whole answer, typed.

    Raises:
        ValueError: The bytes are not a message.
    """
    message = decoded(_decode_message, raw, "the provider's answer is not a message")
    if not message.stop_reason and not message.content:
        raise ValueError("the provider's answer is not a message: it has neither content nor a stop reason")
    return message


def reason_of(stop_reason: str | None) -> FinishReason:
    """Return why an answer ended."""
    return _REASONS.get(stop_reason or "end_turn", "stop")


def _part(block: Block) -> AssistantPart | None:
    if block.type == "text":
        return TextPart(as_text(block.text) or "")
    if block.type == "tool_use":
        return ToolCallPart(as_text(block.id) or "", as_text(block.name) or "", arguments_text(block.input))
    if block.type == "thinking":
        signature = as_text(block.signature) or None
        return ReasoningPart(as_text(block.thinking) or "", signature, vendor=VENDOR if signature else None)
    if block.type == "redacted_thinking":
        return ReasoningPart("", encrypted=as_text(block.data), vendor=VENDOR)
    return None
