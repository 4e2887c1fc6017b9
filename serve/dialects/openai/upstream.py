"""Chat completions of providers, for callers of other dialects."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from router.lane import Lane
from router.price_table import TokenUsage
from serve.dialects.lenient import as_text, content_pieces, words_of
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
from serve.dialects.neutral.tool_forms import new_call_id
from serve.dialects.openai.reasoning_details import (
    ReasoningDetail,
    parts_of_details,
    read_details,
    vendor_of_format,
)
from serve.dialects.openai.request_writer import write_request
from serve.dialects.openai.upstream_request import encode_upstream_body
from serve.dialects.openai.usage import Usage, read_usage
from serve.dialects.provider_json import SseStreamReader, decoded
from serve.dialects.quirks import Quirks

_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class _Function(Struct):
    name: str | None = None
    arguments: Any = None


class _ToolCall(Struct):
    index: int | None = None
    id: Any = None
    function: _Function | None = None


class _Message(Struct):
    """A message, or a piece of one."""

    content: Any = None
    refusal: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_details: Any = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None

    @property
    def calls(self) -> list[_ToolCall]:
        """The tool calls; older servers send one, as `function_call`."""
        if self.tool_calls:
            return self.tool_calls
        return [] if self.function_call is None else [_ToolCall(function=self.function_call)]

    @property
    def thought(self) -> str | None:
        """What the model thinks, where it is no list of details."""
        return as_text(self.reasoning_content) or as_text(self.reasoning)


class _Choice(Struct):
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: Any = None
    error: Any = None
    text: Any = None

    @property
    def failure(self) -> str | None:
        """The words of an error inside the choice, as OpenRouter sends it. None: there is none."""
        return words_of(self.error) if self.error or self.finish_reason == "error" else None


class _GroqExtra(Struct):
    usage: Usage | None = None


class _Completion(Struct):
    """A chat completion, or a chunk of one."""

    id: Any = None
    model: Any = None
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    x_groq: _GroqExtra | None = None
    service_tier: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Completion).decode


class ChatUpstream:
    """See `serve.dialects.translation.UpstreamDialect`."""

    def encode_request(self, request: NeutralRequest, lane: Lane, quirks: Quirks) -> bytes:
        """Return the body to send."""
        body = write_request(request, quirks)
        if request.reasoning is not None and lane.effort is not None and request.reasoning.effort == lane.effort:
            body["reasoning_effort"] = lane.effort  # a word that the catalogue says the model takes here
        return encode_upstream_body(body, lane.upstream_model, quirks)

    def read_answer(self, raw: bytes, quirks: Quirks) -> NeutralAnswer:
        """Return a whole answer.

        Raises:
            ValueError: The bytes are not an answer in this dialect.
        """
        completion = decoded(_decode, raw, "the provider's answer is not a chat completion")
        if not completion.choices or completion.choices[0].message is None:
            raise ValueError("the provider's answer is not a chat completion: it has no message")
        choice = completion.choices[0]
        if choice.failure is not None:
            raise ValueError(f"the provider's answer is an error: {choice.failure}")
        parts = _parts(cast("_Message", choice.message))
        return NeutralAnswer(
            as_text(completion.id) or "",
            as_text(completion.model) or "",
            parts,
            _reason(as_text(choice.finish_reason), any(isinstance(part, ToolCallPart) for part in parts)),
            read_usage(completion.usage, completion.service_tier, is_reasoning_outside=quirks.is_reasoning_outside),
        )

    def stream_reader(self, quirks: Quirks) -> "ChatStreamReader":
        """Return a reader for one stream."""
        return ChatStreamReader(is_reasoning_outside=quirks.is_reasoning_outside)


class ChatStreamReader(SseStreamReader[_Completion]):
    """See `serve.dialects.translation.StreamReader`."""

    def __init__(self, *, is_reasoning_outside: bool = False) -> None:
        super().__init__(_decode, "a chunk is no chat completion chunk", end_mark=b"[DONE]")
        self._is_reasoning_outside = is_reasoning_outside
        self._service_tier: Any = None
        self._has_begun = False
        self._numbers: dict[int, int] = {}  # the provider's index -> our number
        self._call_ids: list[str] = []

    def _read(self, event: _Completion, events: list[AnswerEvent]) -> None:
        choice = event.choices[0] if event.choices else None
        if event.error or (choice is not None and (choice.error or choice.finish_reason == "error")):
            events.append(Failed(words_of(event.error or (choice.error if choice else None))))
            return
        if not self._has_begun:
            self._has_begun = True
            events.append(Began(as_text(event.id) or "", as_text(event.model) or ""))
        if choice is not None:
            # Some back-ends end with a whole message instead of a delta.
            message = choice.delta or choice.message
            if message is not None:
                self._read_message(message, events)
            if choice.finish_reason and (reason := as_text(choice.finish_reason)):
                events.append(Finished(_reason(reason, bool(self._call_ids))))
        usage = self._usage_of(event)
        if usage is not None:
            events.append(Counted(usage))

    def _read_message(self, message: _Message, events: list[AnswerEvent]) -> None:
        if message.reasoning_details and (details := read_details(message.reasoning_details)):
            self._read_details(details, events)
        elif (message.reasoning_content or message.reasoning) and (thought := message.thought):
            events.append(ReasoningDelta(thought))
        content = message.content or message.refusal
        if isinstance(content, str):
            if content:
                events.append(TextDelta(content))
        else:
            for is_thought, text in content_pieces(content):
                events.append(ReasoningDelta(text) if is_thought else TextDelta(text))
        if message.tool_calls or message.function_call is not None:
            for call in message.calls:
                self._read_call(call, events)

    def _read_details(self, details: Sequence[ReasoningDetail], events: list[AnswerEvent]) -> None:
        for detail in details:
            vendor = vendor_of_format(detail.format) or ""
            if text := detail.text or detail.summary:
                events.append(ReasoningDelta(text))
            if detail.signature:
                events.append(ReasoningSigned(detail.signature, vendor))
            if detail.data and not detail.is_call_signature:
                events.append(ReasoningHidden(detail.data, vendor))

    def _read_call(self, call: _ToolCall, events: list[AnswerEvent]) -> None:
        function = call.function or _Function()
        index = call.index or 0
        number = self._numbers.get(index)
        # Some providers give every call the index 0. A new id is a new call.
        call_id = as_text(call.id)
        if number is None or (call_id and function.name and call_id != self._call_ids[number]):
            number = len(self._call_ids)
            self._numbers[index] = number
            self._call_ids.append(call_id or new_call_id())
            events.append(ToolCallBegan(number, self._call_ids[number], function.name or ""))
        if function.arguments:
            events.append(ToolArguments(number, arguments_text(function.arguments)))

    def _usage_of(self, piece: _Completion) -> TokenUsage | None:
        self._service_tier = piece.service_tier or self._service_tier
        block = piece.usage or (piece.x_groq.usage if piece.x_groq else None)
        return read_usage(block, self._service_tier, is_reasoning_outside=self._is_reasoning_outside)


def _parts(message: _Message) -> tuple[AssistantPart, ...]:
    details = read_details(message.reasoning_details)
    parts: list[AssistantPart] = list(parts_of_details(details))
    if not parts and (thought := message.thought):
        parts.append(ReasoningPart(thought))
    for is_thought, text in content_pieces(message.content or message.refusal):
        parts.append(ReasoningPart(text) if is_thought else TextPart(text))
    signatures: dict[Any, str | None] = {detail.id: detail.data for detail in details if detail.is_call_signature}
    for call in message.calls:
        function = call.function or _Function()
        call_id = as_text(call.id) or new_call_id()
        arguments = arguments_text(function.arguments)
        parts.append(ToolCallPart(call_id, function.name or "", arguments, signatures.get(call_id)))
    return tuple(parts)


def _reason(finish_reason: str | None, has_calls: bool) -> FinishReason:
    """Return why an answer ended. Some back-ends say `stop` after tool calls."""
    reason = _REASONS.get(finish_reason or "stop", "stop")
    return "tool_calls" if has_calls and reason == "stop" else reason
