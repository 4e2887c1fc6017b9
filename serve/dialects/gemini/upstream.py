"""Gemini's generateContent, for callers of other dialects."""

from typing import Any

import msgspec
from msgspec import Struct

from router.lane import Lane
from router.price_table import TokenUsage
from serve.dialects.gemini.request_writer import write_request
from serve.dialects.lenient import as_count, as_text, words_of
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
from serve.dialects.neutral.parts import AssistantPart, ReasoningPart, TextPart, ToolCallPart, arguments_text
from serve.dialects.neutral.request import NeutralRequest
from serve.dialects.neutral.tool_forms import new_call_id
from serve.dialects.provider_json import SseStreamReader, decoded
from serve.dialects.quirks import Quirks
from serve.dialects.service_terms import tier_name

_FILTERED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "MODEL_ARMOR",
        "LANGUAGE",
        "JAILBREAK",
    }
)
_BROKEN = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"}
)


class _Call(Struct):
    name: str = ""
    id: Any = None
    args: Any = None


class _Part(Struct, rename="camel"):
    text: str | None = None
    thought: Any = None
    thought_signature: str | None = None
    function_call: _Call | None = None


class _Content(Struct):
    parts: list[_Part] | None = None


class _Candidate(Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _Usage(Struct, rename="camel"):
    prompt_token_count: Any = None
    candidates_token_count: Any = None
    thoughts_token_count: Any = None
    cached_content_token_count: Any = None
    tool_use_prompt_token_count: Any = None
    service_tier: Any = None


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None


class _Response(Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    usage_metadata: _Usage | None = None
    prompt_feedback: _Feedback | None = None
    model_version: Any = None
    response_id: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Response).decode


class GeminiUpstream:
    """See `serve.dialects.translation.UpstreamDialect`."""

    def encode_request(self, request: NeutralRequest, lane: Lane, quirks: Quirks) -> bytes:
        """Return the body to send; the model is in the URL."""
        return msgspec.json.encode(write_request(request, quirks))

    def read_answer(self, raw: bytes, quirks: Quirks) -> NeutralAnswer:
        """Return a whole answer.

        Raises:
            ValueError: The bytes are not an answer in this dialect.
        """
        response = decoded(_decode, raw, "the provider's answer is not a generateContent response")
        reason = _raw_reason(response)
        if reason is None and not response.candidates:
            raise ValueError("the provider's answer is not a generateContent response: it has no candidate")
        _refuse_broken(reason)
        parts = _parts(response)
        has_calls = any(isinstance(part, ToolCallPart) for part in parts)
        return NeutralAnswer(
            as_text(response.response_id) or "",
            as_text(response.model_version) or "",
            parts,
            _reason(reason, has_calls),
            _usage(response.usage_metadata),
        )

    def stream_reader(self, quirks: Quirks) -> "GeminiStreamReader":
        """Return a reader for one stream."""
        return GeminiStreamReader()


class GeminiStreamReader(SseStreamReader[_Response]):
    """See `serve.dialects.translation.StreamReader`. The dialect does not mark the end of a stream."""

    def __init__(self) -> None:
        super().__init__(_decode, "an event is none of a generateContent stream")
        self._has_begun = False
        self._n_calls = 0

    def _read(self, response: _Response, events: list[AnswerEvent]) -> None:
        if response.error is not None:
            events.append(Failed(words_of(response.error)))
            return
        if not self._has_begun:
            self._has_begun = True
            name, model = as_text(response.response_id) or "", as_text(response.model_version) or ""
            events.append(Began(name, model, _usage(response.usage_metadata)))
        for part in _raw_parts(response):
            if part.function_call is not None:
                self._read_call(part, part.function_call, events)
            elif part.text:
                events.append(ReasoningDelta(part.text) if part.thought else TextDelta(part.text))
        if (usage := _usage(response.usage_metadata)) is not None:
            events.append(Counted(usage))
        reason = _raw_reason(response)
        if reason in _BROKEN:
            events.append(Failed(f"the model's answer was broken ({reason.lower()})"))
        elif reason is not None:
            events.append(Finished(_reason(reason, self._n_calls > 0)))

    def _read_call(self, part: _Part, call: _Call, events: list[AnswerEvent]) -> None:
        number, self._n_calls = self._n_calls, self._n_calls + 1
        events.append(ToolCallBegan(number, _call_id(call), call.name, part.thought_signature))
        events.append(ToolArguments(number, arguments_text(call.args)))


def _raw_parts(response: _Response) -> list[_Part]:
    candidate = response.candidates[0] if response.candidates else None
    return (candidate.content.parts or []) if candidate is not None and candidate.content is not None else []


def _parts(response: _Response) -> tuple[AssistantPart, ...]:
    parts: list[AssistantPart] = []
    for part in _raw_parts(response):
        if part.function_call is not None:
            call = part.function_call
            arguments = arguments_text(call.args)
            parts.append(ToolCallPart(_call_id(call), call.name, arguments, part.thought_signature))
        elif part.text:
            parts.append(ReasoningPart(part.text) if part.thought else TextPart(part.text))
    return tuple(parts)


def _call_id(call: _Call) -> str:
    """Return a call's id, or a new one: older models send none, and the other dialects need one."""
    return as_text(call.id) or new_call_id()


def _raw_reason(response: _Response) -> str | None:
    if response.candidates and response.candidates[0].finish_reason:
        return response.candidates[0].finish_reason
    return response.prompt_feedback.block_reason if response.prompt_feedback else None


def _reason(reason: str | None, has_calls: bool) -> FinishReason:
    if reason in _FILTERED:
        return "content_filter"
    if reason == "MAX_TOKENS":
        return "length"
    return "tool_calls" if has_calls else "stop"


def _refuse_broken(reason: str | None) -> None:
    if reason in _BROKEN:
        raise ValueError(f"the model's answer was broken ({reason.lower()})")


def _usage(usage: _Usage | None) -> TokenUsage | None:
    """Return the tokens.

    In this dialect the candidates' count leaves out thoughts, and the prompt's count includes cached tokens.
    """
    if usage is None:
        return None
    prompt, completion = as_count(usage.prompt_token_count), as_count(usage.candidates_token_count)
    if prompt is None and completion is None:
        return None
    thoughts = max(as_count(usage.thoughts_token_count) or 0, 0)
    return TokenUsage(
        prompt_tokens=max((prompt or 0) + (as_count(usage.tool_use_prompt_token_count) or 0), 0),
        completion_tokens=max(completion or 0, 0) + thoughts,
        cached_tokens=max(as_count(usage.cached_content_token_count) or 0, 0),
        reasoning_tokens=thoughts,
        service_tier=tier_name(usage.service_tier),
    )
