"""Writes a Responses request from a neutral request, for a provider that takes some requests in this dialect only.

Source: the types of the package openai 3.54.0, read 2026-12-01.
"""

from collections.abc import Iterator

from router.lane import Lane
from serve.dialects.inquiry import Body
from serve.dialects.media_url import data_url
from serve.dialects.neutral.fitting import turns_with_thoughts
from serve.dialects.neutral.parts import MediaPart, Part, TextPart, ToolCallPart, ToolResultPart, text_of_document
from serve.dialects.neutral.request import NeutralRequest, OutputFormat, Tool, ToolChoice, Turn
from serve.dialects.openai.request_writer import effort_of
from serve.dialects.quirks import Quirks


def write_request(request: NeutralRequest, lane: Lane, quirks: Quirks) -> Body:
    """Return the body of a Responses request; the provider stores nothing of it."""
    turns = turns_with_thoughts(request.turns, lambda thought: False)
    body: Body = {
        "model": lane.upstream_model,
        "input": [item for turn in turns for item in _items(turn)],
        "store": False,
    }
    if request.system:
        body["instructions"] = "\n\n".join(part.text for part in request.system)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = _tool_choice(request.tool_choice)
        if request.is_parallel is not None:
            body["parallel_tool_calls"] = request.is_parallel
    if request.output_format is not None:
        body["text"] = {"format": _format(request.output_format)}
    if request.reasoning is not None:
        body["reasoning"] = {"effort": effort_of(request.reasoning)}
    values = {
        "max_output_tokens": request.max_output_tokens,
        "temperature": request.sampling.temperature,
        "top_p": request.sampling.top_p,
        "user": request.user_id,
        "stream": request.is_streaming or None,
    }
    body |= {name: value for name, value in values.items() if value is not None}
    for name in body.keys() & quirks.dropped_parameters:
        del body[name]
    return body


def _items(turn: Turn) -> Iterator[Body]:
    """Yield a turn as items. Results come first, because they belong to the calls before them."""
    for part in turn.parts:
        if isinstance(part, ToolResultPart):
            output = [_content(inner) for inner in part.content]
            yield {"type": "function_call_output", "call_id": part.call_id, "output": output or ""}
    spoken = [part for part in turn.parts if isinstance(part, TextPart | MediaPart)]
    if spoken and turn.role == "assistant":
        yield {"role": "assistant", "content": "".join(part.text for part in spoken if isinstance(part, TextPart))}
    elif spoken:
        yield {"role": "user", "content": [_content(part) for part in spoken]}
    for part in turn.parts:
        if isinstance(part, ToolCallPart):
            yield {"type": "function_call", "call_id": part.call_id, "name": part.name, "arguments": part.arguments}


def _content(part: Part) -> Body:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    assert isinstance(part, MediaPart)
    if (text := text_of_document(part)) is not None:
        return {"type": "input_text", "text": text}
    url = part.url if part.data is None else data_url(part.media_type, part.data)
    if part.kind == "document":
        field = "file_url" if part.data is None else "file_data"
        return {"type": "input_file", field: url, "filename": part.name or "document.pdf"}
    return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}


def _tool(tool: Tool) -> Body:
    # Without `strict` the provider tries a strict reading first, which not every schema bears.
    function: Body = {
        "type": "function",
        "name": tool.name,
        "parameters": tool.parameters,
        "strict": bool(tool.is_strict),
    }
    return function if tool.description is None else {**function, "description": tool.description}


def _tool_choice(choice: ToolChoice) -> str | Body:
    return {"type": "function", "name": choice.name} if choice.mode == "named" else choice.mode


def _format(wanted: OutputFormat) -> Body:
    if wanted.schema is None:
        return {"type": "json_object"}
    described: Body = {"type": "json_schema", "name": wanted.name, "schema": wanted.schema}
    return described if wanted.is_strict is None else {**described, "strict": wanted.is_strict}
