"""Messages for callers, from providers of other dialects."""

from typing import Any

import msgspec

from router.price_table import TokenUsage
from serve.dialects.anthropic.blocks import VENDOR
from serve.dialects.anthropic.usage import usage_block
from serve.dialects.carried_thoughts import carried_call
from serve.dialects.cost_fields import cost_fields
from serve.dialects.exchange import Bill
from serve.dialects.neutral.answer import (
    AnswerEvent,
    Began,
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
from serve.dialects.neutral.parts import AssistantPart, TextPart, ToolCallPart, arguments_object

_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "context_length": "model_context_window_exceeded",
    "pause": "pause_turn",
}
_encode = msgspec.json.Encoder().encode


class MessagesCaller:
    """See `serve.dialects.translation.CallerDialect`."""

    def write_answer(self, answer: NeutralAnswer, usage: TokenUsage, bill: Bill) -> dict[str, Any]:
        """Return a message."""
        body = {
            **_head(answer.answer_id, answer.upstream_model),
            "content": [block for part in answer.parts for block in _blocks(part)],
            "stop_reason": _REASONS[answer.finish_reason],
            "stop_sequence": answer.stop_sequence,
            "usage": usage_block(usage) | cost_fields(usage, bill.cost),
        }
        return body if bill.explanation is None else {**body, "llmdeal": bill.explanation}

    def stream_writer(self, *, has_usage_chunk: bool = True) -> "MessagesStreamWriter":
        """Return a writer for one stream."""
        return MessagesStreamWriter()


class MessagesStreamWriter:
    """See `serve.dialects.translation.StreamWriter`.

    Blocks follow each other, so a provider that mixes the arguments of several calls is an error.
    """

    def __init__(self) -> None:
        self._has_begun = False
        self._index = -1
        self._open: str | None = None  # the type of the open block
        self._open_call: int | None = None
        self._reason: str = "end_turn"
        self._stop_sequence: str | None = None

    def write(self, event: AnswerEvent) -> bytes:
        """Return the events that one event becomes."""
        if isinstance(event, Began):
            return self._begin(event.answer_id, event.upstream_model, event.prompt_usage)
        start = b"" if self._has_begun else self._begin("", "", None)
        return start + self._write(event)

    def _write(self, event: AnswerEvent) -> bytes:
        if isinstance(event, TextDelta):
            return self._ensure("text", {"type": "text", "text": ""}) + self._delta(
                {"type": "text_delta", "text": event.text}
            )
        if isinstance(event, ToolArguments):
            return self._arguments(event)
        if isinstance(event, ReasoningDelta):
            block = {"type": "thinking", "thinking": "", "signature": ""}
            return self._ensure("thinking", block) + self._delta({"type": "thinking_delta", "thinking": event.text})
        if isinstance(event, ToolCallBegan):
            return self._call(event)
        if isinstance(event, ReasoningSigned) and event.vendor == VENDOR:
            block = {"type": "thinking", "thinking": "", "signature": ""}
            return self._ensure("thinking", block) + self._delta(
                {"type": "signature_delta", "signature": event.signature}
            )
        if isinstance(event, ReasoningHidden) and event.vendor == VENDOR:
            return self._close() + self._start(
                "redacted_thinking", {"type": "redacted_thinking", "data": event.encrypted}
            )
        if isinstance(event, Finished):
            self._reason, self._stop_sequence = _REASONS[event.reason], event.stop_sequence
        return b""

    def finish(self, usage: TokenUsage, bill: Bill) -> bytes:
        """Return the end of a complete stream."""
        start = b"" if self._has_begun else self._begin("", "", None)
        delta: dict[str, Any] = {
            "type": "message_delta",
            "delta": {"stop_reason": self._reason, "stop_sequence": self._stop_sequence},
            "usage": usage_block(usage) | cost_fields(usage, bill.cost),
        }
        if bill.explanation is not None:
            delta["llmdeal"] = bill.explanation
        return start + self._close() + _event("message_delta", delta) + _event("message_stop", {"type": "message_stop"})

    def break_off(self, message: str, code: str, usage: TokenUsage, bill: Bill) -> bytes:
        """Return the end of a broken stream."""
        return broken_stream(message, code, usage, bill)

    def _begin(self, answer_id: str, upstream_model: str, usage: TokenUsage | None) -> bytes:
        self._has_begun = True
        block = usage_block(usage or TokenUsage(0, 0))
        message = {
            **_head(answer_id, upstream_model),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": block,
        }
        return _event("message_start", {"type": "message_start", "message": message})

    def _ensure(self, kind: str, block: dict[str, Any]) -> bytes:
        return b"" if self._open == kind else self._close() + self._start(kind, block)

    def _start(self, kind: str, block: dict[str, Any]) -> bytes:
        self._index += 1
        self._open = kind
        return _event(
            "content_block_start", {"type": "content_block_start", "index": self._index, "content_block": block}
        )

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", {"type": "content_block_delta", "index": self._index, "delta": delta})

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = self._open_call = None
        return _event("content_block_stop", {"type": "content_block_stop", "index": self._index})

    def _call(self, event: ToolCallBegan) -> bytes:
        out = self._close()
        if event.signature is not None:
            out += self._start("redacted_thinking", _signature_of_call(event.call_id, event.signature)) + self._close()
        out += self._start("tool_use", {"type": "tool_use", "id": event.call_id, "name": event.name, "input": {}})
        self._open_call = event.number
        return out

    def _arguments(self, event: ToolArguments) -> bytes:
        if event.number != self._open_call:
            raise ValueError("the provider mixes the arguments of several calls")
        return self._delta({"type": "input_json_delta", "partial_json": event.json})


def broken_stream(message: str, code: str, usage: TokenUsage, bill: Bill) -> bytes:
    """Return the error event of the dialect, which is the last one; it has the usage so far."""
    error = {"type": "api_error", "message": message, "code": code}
    body = {"type": "error", "error": error, "usage": usage_block(usage) | cost_fields(usage, bill.cost)}
    return _event("error", body)


def _event(name: str, body: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _encode(body) + b"\n\n"


def _head(answer_id: str, upstream_model: str) -> dict[str, Any]:
    return {"id": answer_id or "msg_llmdeal", "type": "message", "role": "assistant", "model": upstream_model}


def _blocks(part: AssistantPart) -> list[dict[str, Any]]:
    if isinstance(part, TextPart):
        return [{"type": "text", "text": part.text}] if part.text else []
    if isinstance(part, ToolCallPart):
        call = {"type": "tool_use", "id": part.call_id, "name": part.name, "input": arguments_object(part.arguments)}
        return [call] if part.signature is None else [_signature_of_call(part.call_id, part.signature), call]
    if part.encrypted is not None:
        return [{"type": "redacted_thinking", "data": part.encrypted}] if part.vendor == VENDOR else []
    signature = part.signature if part.vendor == VENDOR else None
    return [{"type": "thinking", "thinking": part.text, "signature": signature or ""}]


def _signature_of_call(call_id: str, signature: str) -> dict[str, Any]:
    """Return the block that carries a call's signature to the caller and back.

    It is a redacted thought: clients send those back without reading them.
    """
    return {"type": "redacted_thinking", "data": carried_call(call_id, signature)}
