"""Writes a Converse request from a neutral request.

Source: docs.aws.amazon.com, Bedrock API reference, "Converse", read 2026-11-23.
"""

import re

from router.lane import Lane
from serve.dialects.anthropic.request_writer import letters_of_id
from serve.dialects.anthropic.thinking import set_thinking
from serve.dialects.inquiry import Body
from serve.dialects.neutral.fitting import turns_with_thoughts
from serve.dialects.neutral.parts import (
    MediaPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    arguments_object,
)
from serve.dialects.neutral.request import NeutralRequest, Tool, ToolChoice, Turn
from serve.dialects.quirks import Quirks

_CACHE_POINT: Body = {"cachePoint": {"type": "default"}}
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9\s\-()\[\]]")
_CLAUDE = "anthropic"


def write_request(request: NeutralRequest, lane: Lane, quirks: Quirks) -> Body:
    """Return the body of a Converse request; the model is in the URL."""
    turns = turns_with_thoughts(request.turns, _is_own_thought, takes_blank_text=False)
    body: Body = {"messages": [_message(turn, quirks) for turn in turns]}
    if request.system:
        body["system"] = [
            block for part in request.system for block in _cached({"text": part.text}, part.cache, quirks)
        ]
    config = _inference_config(request, quirks)
    if config:
        body["inferenceConfig"] = config
    # Calls can only be forbidden by leaving out the tools, but a conversation with calls in it must have them.
    is_forbidden = request.tool_choice is not None and request.tool_choice.mode == "none"
    if request.tools and (not is_forbidden or _has_calls(request)):
        body["toolConfig"] = _tool_config(request)
    extra = _extra_fields(request, lane, config, quirks)
    if extra:
        body["additionalModelRequestFields"] = extra
    return body


def _message(turn: Turn, quirks: Quirks) -> Body:
    parts = sorted(turn.parts, key=lambda part: 0 if isinstance(part, ToolResultPart | ReasoningPart) else 1)
    return {"role": turn.role, "content": [block for part in parts for block in _blocks(part, quirks)]}


def _is_own_thought(thought: ReasoningPart) -> bool:
    return thought.vendor == _CLAUDE


def _blocks(part: Part, quirks: Quirks) -> list[Body]:
    if isinstance(part, TextPart):
        return _cached({"text": part.text}, part.cache, quirks) if part.text.strip() else []
    if isinstance(part, MediaPart):
        return _cached(_media(part, quirks), part.cache, quirks)
    if isinstance(part, ToolCallPart):
        call = {"toolUseId": letters_of_id(part.call_id), "name": part.name, "input": arguments_object(part.arguments)}
        return _cached({"toolUse": call}, part.cache, quirks)
    if isinstance(part, ToolResultPart):
        content = [block for inner in part.content for block in _blocks(inner, quirks)] or [{"text": "(empty)"}]
        result = {"toolUseId": letters_of_id(part.call_id), "content": content}
        if part.is_error:
            result["status"] = "error"
        return _cached({"toolResult": result}, part.cache, quirks)
    if part.encrypted is not None:
        return [{"reasoningContent": {"redactedContent": part.encrypted}}]
    return [{"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}]


def _cached(block: Body, ttl: str | None, quirks: Quirks) -> list[Body]:
    return [block] if ttl is None or not quirks.keeps_cache_control else [block, _CACHE_POINT]


def _media(part: MediaPart, quirks: Quirks) -> Body:
    form = (part.media_type or "").rpartition("/")[2]
    source = {"bytes": part.data}
    if part.kind == "document":
        form = quirks.document_formats.get(part.media_type or "") or form
        return {"document": {"format": form, "name": _NOT_A_NAME.sub(" ", part.name or "document"), "source": source}}
    return {"image": {"format": "jpeg" if form == "jpg" else form, "source": source}}


def _inference_config(request: NeutralRequest, quirks: Quirks) -> Body:
    values: Body = {
        "maxTokens": request.max_output_tokens,
        "temperature": None if "temperature" in quirks.dropped_parameters else request.sampling.temperature,
        "topP": None if "top_p" in quirks.dropped_parameters else request.sampling.top_p,
        "stopSequences": list(request.stop) or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _tool_config(request: NeutralRequest) -> Body:
    config: Body = {"tools": [{"toolSpec": _tool(tool)} for tool in request.tools]}
    choice = _tool_choice(request.tool_choice)
    return config if choice is None else {**config, "toolChoice": choice}


def _tool(tool: Tool) -> Body:
    spec: Body = {"name": tool.name, "inputSchema": {"json": tool.parameters}}
    return spec if tool.description is None else {**spec, "description": tool.description}


def _has_calls(request: NeutralRequest) -> bool:
    return any(isinstance(part, ToolCallPart | ToolResultPart) for turn in request.turns for part in turn.parts)


def _tool_choice(choice: ToolChoice | None) -> Body | None:
    if choice is None or choice.mode == "none":
        return None
    if choice.mode == "named":
        return {"tool": {"name": choice.name}}
    return {"any": {}} if choice.mode == "required" else {"auto": {}}


def _extra_fields(request: NeutralRequest, lane: Lane, config: Body, quirks: Quirks) -> Body:
    """Return the fields of Claude that Converse itself does not have: thinking and top_k."""
    if not lane.vendor_model.startswith(f"{_CLAUDE}/"):
        return {}
    fields: Body = {}
    if request.sampling.top_k is not None and "top_k" not in quirks.dropped_parameters:
        fields["top_k"] = request.sampling.top_k
    if request.reasoning is not None and (request.tool_choice is None or request.tool_choice.mode in ("auto", "none")):
        asked: Body = {"max_tokens": request.max_output_tokens or lane.max_output_tokens or 8_192}
        set_thinking(asked, request.reasoning, takes_budget=quirks.takes_thinking_budget)
        fields |= {name: asked[name] for name in ("thinking", "output_config") if name in asked}
        if fields.get("thinking", {}).get("type") == "enabled":
            config.pop("temperature", None)
    return fields
