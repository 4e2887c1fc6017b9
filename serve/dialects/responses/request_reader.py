"""Reads a Responses request into a neutral request."""

from typing import Any, Literal

from msgspec import Struct

from router.lane import Effort
from serve.dialects.carried_thoughts import CarriedThought
from serve.dialects.inquiry import Body
from serve.dialects.json_body import typed
from serve.dialects.neutral.parts import Part, TextPart
from serve.dialects.neutral.reading import NO_PARAMETERS, read_output_format, with_signature
from serve.dialects.neutral.request import (
    NeutralRequest,
    OutputFormat,
    Reasoning,
    Role,
    Sampling,
    Tool,
    ToolChoice,
    Turn,
    merged_turns,
)
from serve.dialects.responses.items import Item, part_of_item, parts_of_content


class _Tool(Struct):
    name: str
    type: Literal["function"] = "function"
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _NamedTool(Struct):
    name: str
    type: Literal["function"] = "function"


class _Reasoning(Struct):
    effort: Effort | None = None
    summary: str | None = None


class _Format(Struct):
    type: Literal["text", "json_object", "json_schema"]
    name: str = "answer"
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class _Text(Struct):
    format: _Format | None = None


_ToolMode = Literal["auto", "none", "required"]


class _Body(Struct):
    input: str | list[Item]
    instructions: str | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolMode | _NamedTool | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning: _Reasoning | None = None
    text: _Text | None = None
    user: str | None = None
    stream: bool | None = None


def read_request(body: Body) -> NeutralRequest:
    """Return the request that a Responses body holds.

    Raises:
        BadRequestError: A field is malformed or cannot be carried to another dialect; the error names it.
    """
    view = typed(body, _Body)
    system = [TextPart(view.instructions)] if view.instructions else []
    items = [Item(role="user", content=view.input)] if isinstance(view.input, str) else view.input
    turns: list[Turn] = []
    signatures: dict[str | None, str] = {}
    for place, item in enumerate(items):
        where = f"input[{place}]"
        if item.type != "message":
            part = part_of_item(item, where)
            if isinstance(part, CarriedThought):
                signatures[part.call_id] = part.data
                continue
            role: Role = "user" if item.type == "function_call_output" else "assistant"
            turns.append(Turn(role, (with_signature(part, signatures),)))
            continue
        parts: tuple[Part, ...] = parts_of_content(item.content, f"{where}.content")
        if item.role in ("system", "developer"):
            system += [part for part in parts if isinstance(part, TextPart)]
        else:
            turns.append(Turn("assistant" if item.role == "assistant" else "user", parts))
    return NeutralRequest(
        system=tuple(system),
        turns=merged_turns(turns),
        tools=tuple(_tool(tool) for tool in view.tools or ()),
        tool_choice=_tool_choice(view.tool_choice),
        is_parallel=view.parallel_tool_calls,
        max_output_tokens=view.max_output_tokens,
        sampling=Sampling(view.temperature, view.top_p),
        output_format=_output_format(view.text.format if view.text else None),
        reasoning=_reasoning(view.reasoning),
        user_id=view.user,
        is_streaming=bool(view.stream),
    )


def _tool(tool: _Tool) -> Tool:
    return Tool(tool.name, tool.description, tool.parameters or NO_PARAMETERS, tool.strict)


def _tool_choice(choice: _ToolMode | _NamedTool | None) -> ToolChoice | None:
    if choice is None:
        return None
    return ToolChoice("named", choice.name) if isinstance(choice, _NamedTool) else ToolChoice(choice)


def _output_format(wanted: _Format | None) -> OutputFormat | None:
    if wanted is None:
        return None
    return read_output_format(wanted.type, wanted.schema, wanted.name, wanted.strict, schema_field="text.format.schema")


def _reasoning(wanted: _Reasoning | None) -> Reasoning | None:
    if wanted is None or (wanted.effort is None and wanted.summary is None):
        return None
    return Reasoning(wanted.effort or "medium", None, wanted.summary is not None)
