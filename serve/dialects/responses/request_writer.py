"""Writes a Responses request from a neutral request.

Source: the types of the package openai 3.54.0, read 2026-11-23.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from serve.dialects.carried_thoughts import OPENAI
from serve.dialects.inquiry import Body
from serve.dialects.media_url import data_url
from serve.dialects.neutral.parts import (
    MediaPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_of_document,
)
from serve.dialects.neutral.request import NeutralRequest, OutputFormat, Tool, ToolChoice, Turn
from serve.dialects.openai.request_writer import effort_of


def write_request(request: NeutralRequest) -> Body:
    """Return the body of a Responses request, without the model. The provider stores nothing.

    The dialect has no field for stop sequences, seeds and penalties. They are left out.
    """
    body: Body = {
        "input": [item for turn in request.turns for item in _items(turn)],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    if request.system:
        body["instructions"] = "\n\n".join(part.text for part in request.system)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = _tool_choice(request.tool_choice)
        if request.is_parallel is not None:
            body["parallel_tool_calls"] = request.is_parallel
    sampling = {name: getattr(request.sampling, name) for name in ("temperature", "top_p")}
    body |= {name: value for name, value in sampling.items() if value is not None}
    if request.max_output_tokens is not None:
        body["max_output_tokens"] = request.max_output_tokens
    if request.output_format is not None:
        body["text"] = {"format": _format(request.output_format)}
    if request.reasoning is not None:
        body["reasoning"] = {"effort": effort_of(request.reasoning)}
    if request.user_id is not None:
        body["user"] = request.user_id
    if request.is_streaming:
        body["stream"] = True
    return body


def _items(turn: Turn) -> Iterator[Body]:
    """Yield the items of a turn: results of tools first, then messages, calls and thoughts in their order."""
    for part in turn.parts:
        if isinstance(part, ToolResultPart):
            output = [_piece(inner, "input_text") for inner in part.content if isinstance(inner, TextPart | MediaPart)]
            yield {"type": "function_call_output", "call_id": part.call_id, "output": output or ""}
    content: list[Part] = []
    for part in turn.parts:
        if isinstance(part, TextPart | MediaPart):
            content.append(part)
            continue
        if isinstance(part, ToolResultPart):
            continue
        if content:
            yield _message(turn.role, content)
            content = []
        item = _own_item(part)
        if item is not None:
            yield item
    if content:
        yield _message(turn.role, content)


def _own_item(part: ToolCallPart | ReasoningPart) -> Body | None:
    """Return a call, or thoughts that OpenAI encrypted. None: only another vendor can read them."""
    if isinstance(part, ToolCallPart):
        return {"type": "function_call", "call_id": part.call_id, "name": part.name, "arguments": part.arguments}
    if part.vendor != OPENAI or part.encrypted is None:
        return None
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    return {"type": "reasoning", "summary": summary, "encrypted_content": part.encrypted}


def _message(role: str, parts: Sequence[Part]) -> Body:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [_piece(part, kind) for part in parts if isinstance(part, TextPart | MediaPart)]
    return {"type": "message", "role": role, "content": content}


def _piece(part: TextPart | MediaPart, kind: str) -> Body:
    return {"type": kind, "text": part.text} if isinstance(part, TextPart) else _media(part)


def _media(part: MediaPart) -> Body:
    if (text := text_of_document(part)) is not None:
        return {"type": "input_text", "text": text}
    if part.kind == "image":
        url = part.url if part.data is None else data_url(part.media_type, part.data)
        return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}
    if part.data is None:
        return {"type": "input_file", "file_url": part.url}
    file_data = data_url(part.media_type, part.data)
    return {"type": "input_file", "file_data": file_data, "filename": part.name or "document.pdf"}


def _tool(tool: Tool) -> Body:
    # Without the field the provider takes a schema as strict, and refuses one that is not written for that.
    body: Body = {"type": "function", "name": tool.name, "parameters": tool.parameters, "strict": bool(tool.is_strict)}
    return body if tool.description is None else {**body, "description": tool.description}


def _tool_choice(choice: ToolChoice) -> str | Body:
    return {"type": "function", "name": choice.name} if choice.mode == "named" else choice.mode


def _format(wanted: OutputFormat) -> Body:
    if wanted.schema is None:
        return {"type": "json_object"}
    body: dict[str, Any] = {"type": "json_schema", "name": wanted.name, "schema": wanted.schema}
    return body if wanted.is_strict is None else {**body, "strict": wanted.is_strict}
