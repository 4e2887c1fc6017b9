"""Completions of a text for callers, from providers that chat. Thoughts are not shown: the dialect has no field."""

import time
from typing import Any

import msgspec

from router.price_table import TokenUsage
from serve.dialects.exchange import Bill
from serve.dialects.neutral.answer import AnswerEvent, Began, Finished, NeutralAnswer, TextDelta
from serve.dialects.neutral.parts import joined_text
from serve.dialects.openai.usage import usage_block, usage_with_cost
from serve.dialects.sse import encode_event

_REASONS = {"stop_sequence": "stop", "context_length": "length", "pause": "stop", "tool_calls": "stop"}
_DONE = encode_event(b"[DONE]")
_encode = msgspec.json.Encoder().encode


class CompletionsCaller:
    """See `serve.dialects.translation.CallerDialect`."""

    def write_answer(self, answer: NeutralAnswer, usage: TokenUsage, bill: Bill) -> dict[str, Any]:
        """Return a completion."""
        choice = _choice(joined_text(answer.parts), _reason(answer.finish_reason))
        return {**_head(answer.answer_id, answer.upstream_model), "choices": [choice]} | _billed(usage, bill)

    def stream_writer(self, *, has_usage_chunk: bool = True) -> "CompletionsStreamWriter":
        """Return a writer for one stream."""
        return CompletionsStreamWriter(has_usage_chunk=has_usage_chunk)


class CompletionsStreamWriter:
    """See `serve.dialects.translation.StreamWriter`.

    Args:
        has_usage_chunk: Whether the usage has a chunk of its own. False: it is in the chunk with the finish reason.
    """

    def __init__(self, *, has_usage_chunk: bool = True) -> None:
        self._head = _head("", "")
        self._has_usage_chunk = has_usage_chunk
        self._reason: str | None = None

    def write(self, event: AnswerEvent) -> bytes:
        """Return one chunk for each piece of text."""
        if isinstance(event, TextDelta):
            return encode_event(_encode({**self._head, "choices": [_choice(event.text, None)]}))
        if isinstance(event, Began):
            self._head = _head(event.answer_id, event.upstream_model)
        elif isinstance(event, Finished):
            self._reason = _reason(event.reason)
        return b""

    def finish(self, usage: TokenUsage, bill: Bill) -> bytes:
        """Return the chunk with the finish reason, the usage, and the end."""
        last = {**self._head, "choices": [_choice("", self._reason)]}
        if not self._has_usage_chunk:
            return encode_event(_encode(last | _billed(usage, bill))) + _DONE
        billed = {**self._head, "choices": []} | _billed(usage, bill)
        return encode_event(_encode(last)) + encode_event(_encode(billed)) + _DONE

    def break_off(self, message: str, code: str, usage: TokenUsage, bill: Bill) -> bytes:
        """Return an error chunk, and the end."""
        error = {"message": message, "type": "upstream_error", "param": None, "code": code}
        body = {**self._head, "choices": [_choice("", "error")], "error": error} | _billed(usage, bill)
        return encode_event(_encode(body)) + _DONE


def _head(answer_id: str, upstream_model: str) -> dict[str, Any]:
    created = int(time.time())
    return {"id": answer_id or "cmpl-llmdeal", "object": "text_completion", "created": created, "model": upstream_model}


def _choice(text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}


def _billed(usage: TokenUsage, bill: Bill) -> dict[str, Any]:
    fields: dict[str, Any] = {"usage": usage_with_cost(usage_block(usage), usage, bill.cost)}
    return fields if bill.explanation is None else {**fields, "llmdeal": bill.explanation}


def _reason(reason: str) -> str:
    return _REASONS.get(reason, reason)
