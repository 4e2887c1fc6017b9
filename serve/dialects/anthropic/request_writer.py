"""Writes a Messages request from a neutral request."""

import re
from collections.abc import Sequence
from typing import Any

from router.lane import Lane
from serve.dialects.anthropic.blocks import VENDOR
from serve.dialects.anthropic.thinking import set_thinking
from serve.dialects.inquiry import Body
from serve.dialects.neutral.fitting import turns_with_thoughts
from serve.dialects.neutral.parts import (
    CacheTtl,
    MediaPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    arguments_object,
    text_of_document,
)
from serve.dialects.neutral.request import NeutralRequest, Tool, ToolChoice, Turn
from serve.dialects.quirks import Quirks

DEFAULT_MAX_TOKENS = 8_192
"""Limit that is sent if neither the caller nor the catalogue has one: the dialect requires a limit."""
_NOT_AN_ID = re.compile(r"[^a-zA-Z0-9_-]")


def write_request(request: NeutralRequest, lane: Lane, quirks: Quirks) -> Body:
    """Return the body of a Messages request."""
    turns = turns_with_thoughts(request.turns, _is_own_thought, takes_blank_text=False)
    body: Body = {
        "model": lane.upstream_model,
        "max_tokens": request.max_output_tokens or lane.max_output_tokens or DEFAULT_MAX_TOKENS,
        "messages": [_message(turn, is_last=turn is turns[-1]) for turn in turns],
    }
    if request.system:
        body["system"] = _system(request.system)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice is not None or request.is_parallel is False:
            body["tool_choice"] = _tool_choice(request.tool_choice or ToolChoice("auto"), request.is_parallel)
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    if request.output_format is not None and request.output_format.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": request.output_format.schema}}
    if request.user_id is not None:
        body["metadata"] = {"user_id": request.user_id}
    if request.is_streaming:
        body["stream"] = True
    sampling = request.sampling
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.top_k is not None:
        body["top_k"] = sampling.top_k
    if request.reasoning is not None:
        set_thinking(body, request.reasoning, takes_budget=quirks.takes_thinking_budget)
    for name in quirks.dropped_parameters:
        body.pop(name, None)
    body.update(quirks.added_fields)
    return body


def _system(parts: Sequence[TextPart]) -> str | list[Body]:
    if any(part.cache for part in parts):
        return [_text(part) for part in parts]
    return "\n\n".join(part.text for part in parts)


def _message(turn: Turn, *, is_last: bool) -> Body:
    # Results must come first in their message, and thoughts before text.
    parts = sorted(turn.parts, key=lambda part: 0 if isinstance(part, ToolResultPart | ReasoningPart) else 1)
    blocks = [block for part in parts if (block := _block(part)) is not None]
    if is_last and turn.role == "assistant" and blocks and blocks[-1]["type"] == "text":
        blocks[-1]["text"] = blocks[-1]["text"].rstrip()  # the API refuses a prefill that ends in a blank
    return {"role": turn.role, "content": blocks}


def _is_own_thought(thought: ReasoningPart) -> bool:
    """Return whether a thought is Claude's: the API refuses thoughts without its own signature."""
    return thought.vendor == VENDOR


def _block(part: Part) -> Body | None:
    """Return a part as a block. None: the dialect does not take blank text."""
    if isinstance(part, TextPart):
        return _text(part) if part.text.strip() else None
    if isinstance(part, MediaPart):
        return _media(part)
    if isinstance(part, ToolCallPart):
        call: Body = {
            "type": "tool_use",
            "id": letters_of_id(part.call_id),
            "name": part.name,
            "input": arguments_object(part.arguments),
        }
        return _cached(call, part.cache)
    if isinstance(part, ToolResultPart):
        result: Body = {"type": "tool_result", "tool_use_id": letters_of_id(part.call_id)}
        if part.content:
            result["content"] = [block for inner in part.content if (block := _block(inner)) is not None]
        if part.is_error:
            result["is_error"] = True
        return _cached(result, part.cache)
    if part.encrypted is not None:
        return {"type": "redacted_thinking", "data": part.encrypted}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature or ""}


def _text(part: TextPart) -> Body:
    return _cached({"type": "text", "text": part.text}, part.cache)


def _media(part: MediaPart) -> Body:
    text = text_of_document(part)
    if part.data is None:
        source: dict[str, Any] = {"type": "url", "url": part.url}
    elif text is not None:  # base64 documents are PDF alone
        source = {"type": "text", "media_type": "text/plain", "data": text}
    else:
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
    block: Body = {"type": part.kind, "source": source}
    if part.name is not None and part.kind == "document":
        block["title"] = part.name
    return _cached(block, part.cache)


def _cached(block: Body, ttl: CacheTtl | None) -> Body:
    if ttl is not None:
        block["cache_control"] = {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
    return block


def letters_of_id(call_id: str) -> str:
    """Return an id with only the characters that the dialect allows; a call and its result get the same one."""
    return _NOT_AN_ID.sub("_", call_id) or "call"


def _tool(tool: Tool) -> Body:
    block: Body = {"name": tool.name, "input_schema": tool.parameters}
    if tool.description is not None:
        block["description"] = tool.description
    if tool.is_strict:
        block["strict"] = True
    return _cached(block, tool.cache)


def _tool_choice(choice: ToolChoice, is_parallel: bool | None) -> Body:
    if choice.mode == "none":
        return {"type": "none"}
    block: Body = {"type": {"auto": "auto", "required": "any", "named": "tool"}[choice.mode]}
    if choice.mode == "named":
        block["name"] = choice.name
    if is_parallel is not None:
        block["disable_parallel_tool_use"] = not is_parallel
    return block
