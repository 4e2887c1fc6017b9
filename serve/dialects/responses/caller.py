"""Responses for callers, from providers of other dialects."""

import secrets
import time
from dataclasses import replace
from typing import Any

import msgspec

from router.price_table import TokenUsage
from serve.dialects.carried_thoughts import carried_call, carried_for
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
from serve.dialects.neutral.parts import (
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolForm,
    ToolKind,
    arguments_object,
)
from serve.dialects.responses.usage import usage_with_cost

_INCOMPLETE: dict[FinishReason, str] = {
    "length": "max_output_tokens",
    "context_length": "max_output_tokens",
    "content_filter": "content_filter",
}
_encode = msgspec.json.Encoder().encode


class ResponsesCaller:
    """See `serve.dialects.translation.CallerDialect`."""

    def write_answer(self, answer: NeutralAnswer, usage: TokenUsage, bill: Bill) -> dict[str, Any]:
        """Return a response."""
        items: list[dict[str, Any]] = []
        for part in answer.parts:
            if isinstance(part, TextPart):
                items.append(_message(_id("msg"), part.text))
            elif isinstance(part, ToolCallPart):
                if part.signature is not None:
                    items.append(_call_signature(part.call_id, part.signature))
                items.append(_call(_call_item_id(part.form), part))
            else:
                items.append(_reasoning(_id("rs"), part))
        return _ended(_head(answer.upstream_model), items, answer.finish_reason, usage, bill)

    def stream_writer(self, *, has_usage_chunk: bool = True) -> "ResponsesStreamWriter":
        """Return a writer for one stream."""
        return ResponsesStreamWriter()


class ResponsesStreamWriter:
    """See `serve.dialects.translation.StreamWriter`.

    Items follow each other, so a provider that mixes the arguments of several calls is an error.
    """

    def __init__(self) -> None:
        self._head = _head("")
        self._has_begun = False
        self._sequence = 0
        self._items: list[dict[str, Any]] = []
        self._open: ReasoningPart | TextPart | ToolCallPart | None = None
        self._open_id = ""
        self._open_call = -1
        self._reason: FinishReason = "stop"

    def write(self, event: AnswerEvent) -> bytes:
        """Return the events that one event becomes."""
        if isinstance(event, Began):
            return self._begin(event.upstream_model)
        start = b"" if self._has_begun else self._begin("")
        return start + self._write(event)

    def finish(self, usage: TokenUsage, bill: Bill) -> bytes:
        """Return the end of a complete stream."""
        start = b"" if self._has_begun else self._begin("")
        out = start + self._close()
        response = _ended(self._head, self._items, self._reason, usage, bill)
        return out + self._event(f"response.{response['status']}", response=response)

    def break_off(self, message: str, code: str, usage: TokenUsage, bill: Bill) -> bytes:
        """Return the end of a broken stream."""
        error = {"code": "server_error", "message": f"{message} ({code})"}
        block = usage_with_cost(None, usage, bill)
        response = {**self._head, "status": "failed", "output": self._items, "error": error, "usage": block}
        return self._event("response.failed", response=response)

    def _write(self, event: AnswerEvent) -> bytes:
        if isinstance(event, TextDelta):
            return self._text(event.text)
        if isinstance(event, ToolArguments):
            return self._arguments(event)
        if isinstance(event, ReasoningDelta):
            return self._thought(event.text)
        if isinstance(event, ToolCallBegan):
            return self._call(event)
        if isinstance(event, ReasoningSigned):
            out = self._thought("")
            assert isinstance(self._open, ReasoningPart)
            self._open = ReasoningPart(self._open.text, event.signature, vendor=event.vendor)
            return out + self._close()
        if isinstance(event, ReasoningHidden):
            out = self._close()
            return out + self._whole(
                _reasoning(_id("rs"), ReasoningPart("", encrypted=event.encrypted, vendor=event.vendor))
            )
        if isinstance(event, Finished):
            self._reason = event.reason
        return b""

    def _begin(self, upstream_model: str) -> bytes:
        self._has_begun = True
        self._head = _head(upstream_model)
        response = {**self._head, "status": "in_progress", "output": []}
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def _text(self, text: str) -> bytes:
        out = b""
        if not isinstance(self._open, TextPart):
            out = self._close()
            self._open, self._open_id = TextPart(""), _id("msg")
            out += self._added({**_message(self._open_id, ""), "status": "in_progress", "content": []})
            out += self._of_item("response.content_part.added", content_index=0, part=_output_text(""))
        self._open = TextPart(self._open.text + text) if isinstance(self._open, TextPart) else TextPart(text)
        return out + self._of_item("response.output_text.delta", content_index=0, delta=text, logprobs=[])

    def _thought(self, text: str) -> bytes:
        out = b""
        if not isinstance(self._open, ReasoningPart):
            out = self._close()
            self._open, self._open_id = ReasoningPart(""), _id("rs")
            out += self._added({"id": self._open_id, "type": "reasoning", "summary": [], "status": "in_progress"})
            out += self._of_item("response.reasoning_summary_part.added", summary_index=0, part=_summary_text(""))
        if not text:
            return out
        self._open = (
            ReasoningPart(self._open.text + text) if isinstance(self._open, ReasoningPart) else ReasoningPart(text)
        )
        return out + self._of_item("response.reasoning_summary_text.delta", summary_index=0, delta=text)

    def _call(self, event: ToolCallBegan) -> bytes:
        out = self._close()
        if event.signature is not None:
            out += self._whole(_call_signature(event.call_id, event.signature))
        self._open, self._open_id, self._open_call = (
            ToolCallPart(event.call_id, event.name, "", form=event.form),
            _call_item_id(event.form),
            event.number,
        )
        if event.form is not None and event.form.kind == "apply_patch":
            return out  # its item shows the whole operation, so it is added when that is complete
        return out + self._added({**_call(self._open_id, self._open), "status": "in_progress"})

    def _arguments(self, event: ToolArguments) -> bytes:
        call = self._open
        if not isinstance(call, ToolCallPart) or event.number != self._open_call:
            raise ValueError("the provider mixes the arguments of several calls")
        self._open = replace(call, arguments=call.arguments + event.json)
        kind = _kind(call)
        if kind == "apply_patch":
            return b""
        name = "custom_tool_call_input" if kind == "custom" else "function_call_arguments"
        return self._of_item(f"response.{name}.delta", delta=event.json)

    def _close(self) -> bytes:
        part, self._open = self._open, None
        if part is None:
            return b""
        if isinstance(part, TextPart):
            item = _message(self._open_id, part.text)
            out = self._of_item("response.output_text.done", content_index=0, text=part.text, logprobs=[])
            out += self._of_item("response.content_part.done", content_index=0, part=_output_text(part.text))
        elif isinstance(part, ToolCallPart):
            item = _call(self._open_id, part)
            kind = _kind(part)
            if kind == "apply_patch":
                return self._whole(item)
            out = (
                self._of_item("response.custom_tool_call_input.done", input=part.arguments)
                if kind == "custom"
                else self._of_item(
                    "response.function_call_arguments.done", name=part.name, arguments=part.arguments or "{}"
                )
            )
        else:
            item = _reasoning(self._open_id, part)
            out = self._of_item("response.reasoning_summary_text.done", summary_index=0, text=part.text)
            out += self._of_item("response.reasoning_summary_part.done", summary_index=0, part=_summary_text(part.text))
        return out + self._done(item)

    def _whole(self, item: dict[str, Any]) -> bytes:
        return self._added(item) + self._done(item)

    def _added(self, item: dict[str, Any]) -> bytes:
        return self._event("response.output_item.added", output_index=len(self._items), item=item)

    def _done(self, item: dict[str, Any]) -> bytes:
        out = self._event("response.output_item.done", output_index=len(self._items), item=item)
        self._items.append(item)
        return out

    def _of_item(self, kind: str, **fields: Any) -> bytes:
        return self._event(kind, item_id=self._open_id, output_index=len(self._items), **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:
        body = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + _encode(body) + b"\n\n"


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def _head(upstream_model: str) -> dict[str, Any]:
    return {
        "id": _id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "model": upstream_model,
        "store": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
    }


def _ended(
    head: dict[str, Any], items: list[dict[str, Any]], reason: FinishReason, usage: TokenUsage, bill: Bill
) -> dict[str, Any]:
    cut = _INCOMPLETE.get(reason)
    response = {**head, "output": items, "usage": usage_with_cost(None, usage, bill)}
    response |= (
        {"status": "completed"} if cut is None else {"status": "incomplete", "incomplete_details": {"reason": cut}}
    )
    return response if bill.explanation is None else {**response, "llmdeal": bill.explanation}


def _output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _summary_text(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}


def _message(item_id: str, text: str) -> dict[str, Any]:
    return {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [_output_text(text)],
    }


def _kind(call: ToolCallPart) -> ToolKind:
    return "function" if call.form is None else call.form.kind


def _call_item_id(form: ToolForm | None) -> str:
    return _id({"function": "fc", "custom": "ctc", "apply_patch": "apc"}["function" if form is None else form.kind])


def _call(item_id: str, call: ToolCallPart) -> dict[str, Any]:
    """Return the item of a call, in the form in which the caller offered the tool."""
    kind = _kind(call)
    head = {"id": item_id, "call_id": call.call_id, "status": "completed"}
    if kind == "apply_patch":
        return {**head, "type": "apply_patch_call", "operation": arguments_object(call.arguments)}
    if kind == "custom":
        item = {**head, "type": "custom_tool_call", "name": call.name, "input": call.arguments}
    else:
        item = {**head, "type": "function_call", "name": call.name, "arguments": call.arguments}
    return item if call.form is None or call.form.namespace is None else {**item, "namespace": call.form.namespace}


def _reasoning(item_id: str, part: ReasoningPart) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": item_id,
        "type": "reasoning",
        "summary": [_summary_text(part.text)] if part.text else [],
    }
    carried = carried_for(part)
    return item if carried is None else {**item, "encrypted_content": carried}


def _call_signature(call_id: str, signature: str) -> dict[str, Any]:
    """Return the item with the signature of a call; the item of the call comes after it."""
    return {"id": _id("rs"), "type": "reasoning", "summary": [], "encrypted_content": carried_call(call_id, signature)}
