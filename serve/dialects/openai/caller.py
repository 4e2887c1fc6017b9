"""Chat completions for callers, from providers of other dialects."""

import time
from typing import Any

import msgspec

from router.price_table import TokenUsage
from serve.dialects.exchange import Bill
from serve.dialects.neutral.answer import (
    AnswerEvent,
    Began,
    Finished,
    NeutralAnswer,
    ReasoningDelta,
    ReasoningHidden,
    ReasoningSigned,
    TextDelta,
    ToolArguments,
    ToolCallBegan,
)
from serve.dialects.neutral.parts import ReasoningPart, ToolCallPart, joined_text
from serve.dialects.openai.reasoning_details import call_signature_detail, details_of_part
from serve.dialects.openai.usage import usage_block, usage_with_cost
from serve.dialects.sse import encode_event

_REASONS = {"stop_sequence": "stop", "context_length": "length", "pause": "stop"}
_DONE = encode_event(b"[DONE]")
_encode = msgspec.json.Encoder().encode


class ChatCaller:
    """See `serve.dialects.translation.CallerDialect`."""

    def write_answer(self, answer: NeutralAnswer, usage: TokenUsage, bill: Bill) -> dict[str, Any]:
        """Return a chat completion."""
        choice = {
            "index": 0,
            "message": _message(answer),
            "logprobs": None,
            "finish_reason": _reason(answer.finish_reason),
        }
        body = {**_head(answer.answer_id, answer.upstream_model, "chat.completion"), "choices": [choice]}
        return body | _billed(usage, bill)

    def stream_writer(self, *, has_usage_chunk: bool = True) -> "ChatStreamWriter":
        """Return a writer for one stream."""
        return ChatStreamWriter(has_usage_chunk=has_usage_chunk)


class ChatStreamWriter:
    """See `serve.dialects.translation.StreamWriter`.

    Args:
        has_usage_chunk: Whether the usage has a chunk of its own. False: it is in the chunk with the finish reason.
    """

    def __init__(self, *, has_usage_chunk: bool = True) -> None:
        self._head = _head("", "", "chat.completion.chunk")
        self._has_usage_chunk = has_usage_chunk
        self._thoughts = 0
        self._custom: set[int] = set()
        self._silent_calls: dict[int, None] = {}
        """Numbers of the calls whose arguments have not begun."""
        self._reason: str | None = None

    def write(self, event: AnswerEvent) -> bytes:
        """Return one chunk for one event."""
        if isinstance(event, TextDelta):
            return self._chunk({"content": event.text})
        if isinstance(event, ToolArguments):
            self._silent_calls.pop(event.number, None)
            key = "custom" if event.number in self._custom else "function"
            field = "input" if key == "custom" else "arguments"
            return self._chunk({"tool_calls": [{"index": event.number, key: {field: event.json}}]})
        if isinstance(event, ReasoningDelta):
            thought = ReasoningPart(event.text)
            return self._chunk(
                {"reasoning_content": event.text, "reasoning_details": [details_of_part(thought, self._thoughts)]}
            )
        if isinstance(event, ReasoningSigned):
            return self._signed(ReasoningPart("", event.signature, vendor=event.vendor))
        if isinstance(event, ReasoningHidden):
            return self._signed(ReasoningPart("", encrypted=event.encrypted, vendor=event.vendor))
        if isinstance(event, ToolCallBegan):
            return self._call(event)
        if isinstance(event, Began):
            self._head = _head(event.answer_id, event.upstream_model, "chat.completion.chunk")
            return self._chunk({"role": "assistant", "content": ""})
        if isinstance(event, Finished):
            self._reason = _reason(event.reason)
        return b""

    def finish(self, usage: TokenUsage, bill: Bill) -> bytes:
        """Return the chunk with the finish reason, the usage, and the end."""
        calls = [{"index": number, "function": {"arguments": "{}"}} for number in self._silent_calls]
        out = self._chunk({"tool_calls": calls}) if calls else b""
        last = {**self._head, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": self._reason}]}
        if not self._has_usage_chunk:
            return out + encode_event(_encode({**last, **_billed(usage, bill)})) + _DONE
        billed = {**self._head, "choices": [], **_billed(usage, bill)}
        return out + encode_event(_encode(last)) + encode_event(_encode(billed)) + _DONE

    def break_off(self, message: str, code: str, usage: TokenUsage, bill: Bill) -> bytes:
        """Return an error chunk, and the end."""
        error = {"message": message, "type": "upstream_error", "param": None, "code": code}
        choices = [{"index": 0, "delta": {}, "finish_reason": "error"}]
        return encode_event(_encode({**self._head, "choices": choices, **_billed(usage, bill), "error": error})) + _DONE

    def _chunk(self, delta: dict[str, Any]) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return encode_event(_encode({**self._head, "choices": [choice]}))

    def _signed(self, thought: ReasoningPart) -> bytes:
        detail = details_of_part(thought, self._thoughts)
        self._thoughts += 1
        return self._chunk({"reasoning_details": [detail]})

    def _call(self, event: ToolCallBegan) -> bytes:
        call: dict[str, Any] = {
            "index": event.number,
            "id": event.call_id,
            "type": "function",
            "function": {"name": event.name, "arguments": ""},
        }
        if event.form is not None and event.form.kind == "custom":
            self._custom.add(event.number)
            call |= {"type": "custom", "custom": {"name": event.name, "input": ""}}
            del call["function"]
        else:
            self._silent_calls[event.number] = None
        delta: dict[str, Any] = {"tool_calls": [call]}
        if event.signature is not None:
            call["extra_content"] = {"google": {"thought_signature": event.signature}}
            delta["reasoning_details"] = [call_signature_detail(event.call_id, event.signature, self._thoughts)]
            self._thoughts += 1
        return self._chunk(delta)


def _head(answer_id: str, upstream_model: str, kind: str) -> dict[str, Any]:
    return {"id": answer_id or "chatcmpl-llmdeal", "object": kind, "created": int(time.time()), "model": upstream_model}


def _message(answer: NeutralAnswer) -> dict[str, Any]:
    calls = [part for part in answer.parts if isinstance(part, ToolCallPart)]
    thoughts = [part for part in answer.parts if isinstance(part, ReasoningPart)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": joined_text(answer.parts) or (None if calls else ""),
        "refusal": None,
    }
    if calls:
        message["tool_calls"] = [_call(call) for call in calls]
    details = [details_of_part(part, index) for index, part in enumerate(thoughts)]
    details += [
        call_signature_detail(call.call_id, call.signature, len(details))
        for call in calls
        if call.signature is not None
    ]
    if details:
        message["reasoning_details"] = details
    if shown := "".join(part.text for part in thoughts):
        message["reasoning_content"] = shown
    return message


def _call(call: ToolCallPart) -> dict[str, Any]:
    written: dict[str, Any] = {
        "id": call.call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    if call.form is not None and call.form.kind == "custom":
        return {"id": call.call_id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    # Google's own OpenAI-compatible endpoint has signatures in this field, so its clients send them back.
    return (
        written
        if call.signature is None
        else {**written, "extra_content": {"google": {"thought_signature": call.signature}}}
    )


def _billed(usage: TokenUsage, bill: Bill) -> dict[str, Any]:
    fields: dict[str, Any] = {"usage": usage_with_cost(usage_block(usage), usage, bill.cost)}
    return fields if bill.explanation is None else {**fields, "llmdeal": bill.explanation}


def _reason(reason: str) -> str:
    return _REASONS.get(reason, reason)
