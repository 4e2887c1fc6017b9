"""Responses of providers, for callers of other dialects."""

from typing import Any

import msgspec
from msgspec import Struct

from router.lane import Lane
from serve.dialects.neutral.answer import (
    AnswerEvent,
    Began,
    Counted,
    Failed,
    Finished,
    FinishReason,
    NeutralAnswer,
    ReasoningDelta,
    TextDelta,
    ToolArguments,
    ToolCallBegan,
)
from serve.dialects.neutral.parts import AssistantPart, ReasoningPart, TextPart, ToolCallPart
from serve.dialects.neutral.request import NeutralRequest
from serve.dialects.neutral.tool_forms import new_call_id
from serve.dialects.provider_json import SseStreamReader, decoded
from serve.dialects.quirks import Quirks
from serve.dialects.responses.request_writer import write_request
from serve.dialects.responses.usage import Usage, read_usage

_CUT: dict[str | None, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}


class _Piece(Struct):
    text: str | None = None
    refusal: str | None = None


class _Item(Struct):
    type: str
    content: list[_Piece] | None = None
    summary: list[_Piece] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class _Details(Struct):
    reason: str | None = None


class _Problem(Struct):
    message: str | None = None


class _Response(Struct):
    id: str = ""
    model: str = ""
    status: str | None = None
    output: list[_Item] | None = None
    incomplete_details: _Details | None = None
    usage: Usage | None = None
    service_tier: Any = None
    error: _Problem | None = None


class _Event(Struct):
    type: str
    delta: str | None = None
    item: _Item | None = None
    output_index: int | None = None
    response: _Response | None = None
    message: str | None = None


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class ResponsesUpstream:
    """See `serve.dialects.translation.UpstreamDialect`."""

    def encode_request(self, request: NeutralRequest, lane: Lane, quirks: Quirks) -> bytes:
        """Return the body to send."""
        return msgspec.json.encode(write_request(request, lane, quirks))

    def read_answer(self, raw: bytes, quirks: Quirks) -> NeutralAnswer:
        """Return a whole answer.

        Raises:
            ValueError: The bytes are not an answer in this dialect.
        """
        response = decoded(_decode_response, raw, "the provider's answer is not a response")
        if response.output is None or response.status == "failed":
            raise ValueError("the provider's answer is not a response: it has no output")
        parts = tuple(part for item in response.output for part in _parts(item))
        has_calls = any(isinstance(part, ToolCallPart) for part in parts)
        usage = read_usage(response.usage, response.service_tier, [item.type for item in response.output])
        return NeutralAnswer(response.id, response.model, parts, _reason(response, has_calls), usage)

    def stream_reader(self, quirks: Quirks) -> "ResponsesStreamReader":
        """Return a reader for one stream."""
        return ResponsesStreamReader()


class ResponsesStreamReader(SseStreamReader[_Event]):
    """See `serve.dialects.translation.StreamReader`."""

    def __init__(self) -> None:
        super().__init__(_decode_event, "an event is none of a Responses stream")
        self._numbers: dict[int | None, int] = {}  # the provider's index of an item -> our number of the call

    def _read(self, event: _Event, events: list[AnswerEvent]) -> None:
        kind = event.type
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            events.append(TextDelta(event.delta or ""))
        elif kind == "response.function_call_arguments.delta" and event.output_index in self._numbers:
            events.append(ToolArguments(self._numbers[event.output_index], event.delta or ""))
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            events.append(ReasoningDelta(event.delta or ""))
        elif kind == "response.output_item.added" and event.item is not None and event.item.type == "function_call":
            number = self._numbers[event.output_index] = len(self._numbers)
            events.append(ToolCallBegan(number, event.item.call_id or new_call_id(), event.item.name or ""))
        elif kind == "response.created" and event.response is not None:
            events.append(Began(event.response.id, event.response.model))
        elif kind in ("response.completed", "response.incomplete") and event.response is not None:
            self._end(event.response, events)
        elif kind in ("response.failed", "error"):
            problem = None if event.response is None else event.response.error
            words = event.message or (None if problem is None else problem.message)
            events.append(Failed(words or "the provider failed"))

    def _end(self, response: _Response, events: list[AnswerEvent]) -> None:
        items = [item.type for item in response.output or ()]
        usage = read_usage(response.usage, response.service_tier, items)
        if usage is not None:
            events.append(Counted(usage))
        events.append(Finished(_reason(response, bool(self._numbers))))
        self.is_done = True


def _parts(item: _Item) -> list[AssistantPart]:
    if item.type == "function_call":
        return [ToolCallPart(item.call_id or new_call_id(), item.name or "", item.arguments or "{}")]
    if item.type == "reasoning":
        text = "".join(piece.text or "" for piece in item.summary or ())
        return [ReasoningPart(text)] if text else []
    text = "".join(piece.text or piece.refusal or "" for piece in item.content or ())
    return [TextPart(text)] if item.type == "message" and text else []


def _reason(response: _Response, has_calls: bool) -> FinishReason:
    details = response.incomplete_details
    if response.status == "incomplete":
        return _CUT.get(None if details is None else details.reason, "length")
    return "tool_calls" if has_calls else "stop"
