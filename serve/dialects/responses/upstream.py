"""Responses of providers, for callers of other dialects."""

from typing import Any

import msgspec
from msgspec import Struct

from router.lane import Lane
from router.price_table import TokenUsage
from serve.dialects.carried_thoughts import OPENAI
from serve.dialects.lenient import as_text, field_of, objects_in, words_of
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
    TextDelta,
    ToolArguments,
    ToolCallBegan,
    events_of,
)
from serve.dialects.neutral.parts import AssistantPart, ReasoningPart, TextPart, ToolCallPart, arguments_text
from serve.dialects.neutral.request import NeutralRequest
from serve.dialects.neutral.tool_forms import new_call_id
from serve.dialects.provider_json import SseStreamReader, decoded
from serve.dialects.quirks import Quirks
from serve.dialects.responses.request_writer import write_request
from serve.dialects.responses.usage import Usage, read_usage

_TEXTS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THOUGHTS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_ENDS = frozenset({"response.completed", "response.incomplete"})


class _Item(Struct):
    """An item of the output; its type says which fields it has."""

    type: str
    content: Any = None
    summary: Any = None
    encrypted_content: Any = None
    call_id: Any = None
    name: Any = None
    arguments: Any = None
    action: Any = None

    @property
    def billed_type(self) -> str:
        """Type of the item; a web search that only opens a page or looks for a word in it is not billed as one."""
        kind = self.action.get("type", "search") if isinstance(self.action, dict) else "search"
        return self.type if self.type != "web_search_call" or kind == "search" else f"{self.type}:{kind}"


class _Response(Struct):
    id: Any = None
    model: Any = None
    status: Any = None
    output: list[_Item] | None = None
    usage: Usage | None = None
    service_tier: Any = None
    error: Any = None
    incomplete_details: Any = None


class _Event(Struct):
    type: str
    response: _Response | None = None
    item: _Item | None = None
    output_index: int = 0
    delta: Any = None
    message: Any = None


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class ResponsesUpstream:
    """See `serve.dialects.translation.UpstreamDialect`."""

    def encode_request(self, request: NeutralRequest, lane: Lane, quirks: Quirks) -> bytes:
        """Return the body to send."""
        body = write_request(request)
        if request.reasoning is not None and lane.effort is not None and request.reasoning.effort == lane.effort:
            body["reasoning"]["effort"] = lane.effort  # a word that the catalogue says the model takes here
        for name in quirks.dropped_parameters:
            body.pop(name, None)
        return msgspec.json.encode({"model": lane.upstream_model, **body})

    def read_answer(self, raw: bytes, quirks: Quirks) -> NeutralAnswer:
        """Return a whole answer.

        Raises:
            ValueError: The bytes are not an answer in this dialect.
        """
        response = decoded(_decode_response, raw, "the provider's answer is not a response")
        if response.output is None or response.status == "failed":
            raise ValueError("the provider's answer is not a response: it has no output")
        return _answer(response)

    def stream_reader(self, quirks: Quirks) -> "ResponsesStreamReader":
        """Return a reader for one stream."""
        return ResponsesStreamReader()


class ResponsesStreamReader(SseStreamReader[_Event]):
    """See `serve.dialects.translation.StreamReader`."""

    def __init__(self) -> None:
        super().__init__(_decode_event, "an event is none of Responses")
        self._numbers: dict[int, int] = {}  # place in the output -> our number of the call
        self._with_arguments: set[int] = set()
        self._has_content = False

    def _read(self, event: _Event, events: list[AnswerEvent]) -> None:
        n_before = len(events)
        self._read_event(event, events)
        self._has_content = self._has_content or any(not isinstance(new, Began) for new in events[n_before:])

    def _read_event(self, event: _Event, events: list[AnswerEvent]) -> None:
        kind, response = event.type, event.response
        if kind in _TEXTS and isinstance(event.delta, str) and event.delta:
            events.append(TextDelta(event.delta))
        elif kind == "response.function_call_arguments.delta" and isinstance(event.delta, str) and event.delta:
            number = self._numbers.get(event.output_index)
            if number is not None:
                self._with_arguments.add(number)
                events.append(ToolArguments(number, event.delta))
        elif kind in _THOUGHTS and isinstance(event.delta, str) and event.delta:
            events.append(ReasoningDelta(event.delta))
        elif kind == "response.output_item.added" and event.item is not None:
            self._begin(event.item, event.output_index, events)
        elif kind == "response.output_item.done" and event.item is not None:
            self._end(event.item, event.output_index, events)
        elif kind == "response.created" and response is not None:
            events.append(Began(as_text(response.id) or "", as_text(response.model) or ""))
        elif kind in _ENDS and response is not None:
            if self._has_content:
                events.append(Finished(_reason(response, has_calls=bool(self._numbers))))
            else:
                events += events_of(_answer(response))  # a server that does not send its answer in pieces
            usage = _usage(response)
            if usage is not None:
                events.append(Counted(usage))
            self.is_done = True
        elif kind == "error":
            events.append(Failed(words_of(event.message)))
        elif kind == "response.failed":
            events.append(Failed(words_of(None if response is None else response.error)))

    def _begin(self, item: _Item, place: int, events: list[AnswerEvent]) -> None:
        if item.type == "function_call" and place not in self._numbers:
            number = self._numbers[place] = len(self._numbers)
            events.append(ToolCallBegan(number, as_text(item.call_id) or new_call_id(), as_text(item.name) or ""))

    def _end(self, item: _Item, place: int, events: list[AnswerEvent]) -> None:
        if item.type == "reasoning" and item.encrypted_content:
            events.append(ReasoningHidden(item.encrypted_content, OPENAI))
        if item.type == "function_call":
            self._begin(item, place, events)
            number = self._numbers[place]
            if number not in self._with_arguments and item.arguments:
                events.append(ToolArguments(number, arguments_text(item.arguments)))


def _answer(response: _Response) -> NeutralAnswer:
    parts = tuple(part for item in response.output or () for part in _parts(item))
    return NeutralAnswer(
        as_text(response.id) or "",
        as_text(response.model) or "",
        parts,
        _reason(response, has_calls=any(isinstance(part, ToolCallPart) for part in parts)),
        _usage(response),
    )


def _parts(item: _Item) -> list[AssistantPart]:
    if item.type == "message":
        return [TextPart(text) for piece in objects_in(item.content) if (text := _words(piece))]
    if item.type == "function_call":
        return [
            ToolCallPart(
                as_text(item.call_id) or new_call_id(), as_text(item.name) or "", arguments_text(item.arguments)
            )
        ]
    if item.type != "reasoning":
        return []
    text = "".join(map(_words, objects_in(item.summary)))
    thoughts: list[AssistantPart] = [ReasoningPart(text)] if text else []
    if item.encrypted_content:
        thoughts.append(ReasoningPart("", encrypted=item.encrypted_content, vendor=OPENAI))
    return thoughts


def _words(piece: dict[str, Any]) -> str:
    return as_text(piece.get("text")) or as_text(piece.get("refusal")) or ""


def _reason(response: _Response, *, has_calls: bool) -> FinishReason:
    if response.status == "incomplete":
        cut = field_of(response.incomplete_details, "reason")
        return "content_filter" if cut == "content_filter" else "length"
    return "tool_calls" if has_calls else "stop"


def _usage(response: _Response) -> TokenUsage | None:
    return read_usage(response.usage, response.service_tier, [item.billed_type for item in response.output or ()])
