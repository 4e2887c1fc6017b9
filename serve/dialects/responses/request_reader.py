"""Reads a Responses request into a neutral request."""

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from router.lane import Effort
from serve.dialects.carried_thoughts import CarriedThought
from serve.dialects.field_table import fields_of
from serve.dialects.inquiry import Body
from serve.dialects.json_body import typed
from serve.dialects.neutral.parts import Part, TextPart, ToolForm
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
from serve.dialects.neutral.tool_forms import APPLY_PATCH, allowed_tools, apply_patch_tool, custom_tool, namespaced
from serve.dialects.responses import NAME
from serve.dialects.responses.items import RESULTS, Item, part_of_item, parts_of_content
from serve.errors import BadRequestError


class _Tool(Struct):
    """A tool of any type; its type says which fields it has."""

    type: str = "function"
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    format: dict[str, Any] | None = None
    tools: "list[_Tool] | None" = None


class _ToolChoice(Struct):
    """A choice that is more than a word; `allowed_tools` has a mode and tools, all others a name."""

    type: str = "function"
    name: str | None = None
    namespace: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[_Tool] | None = None


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
    tool_choice: _ToolMode | _ToolChoice | None = None
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
    fields = fields_of(NAME)
    turns: list[Turn] = []
    signatures: dict[str | None, str] = {}
    for place, item in enumerate(items):
        where = f"input[{place}]"
        if item.type != "message":
            if (row := fields.parts.get(item.type)) is not None and row.meaning == "hint":
                continue
            part = part_of_item(item, where)
            if isinstance(part, CarriedThought):
                signatures[part.call_id] = part.data
                continue
            role: Role = "user" if item.type in RESULTS else "assistant"
            turns.append(Turn(role, (with_signature(part, signatures),)))
            continue
        parts: tuple[Part, ...] = parts_of_content(item.content, f"{where}.content")
        if item.role in ("system", "developer"):
            system += [part for part in parts if isinstance(part, TextPart)]
        else:
            turns.append(Turn("assistant" if item.role == "assistant" else "user", parts))
    tools = tuple(read for tool in view.tools or () for read in _tools(tool, None))
    if isinstance(view.tool_choice, _ToolChoice) and view.tool_choice.type == "allowed_tools":
        tools = allowed_tools(tools, [_sent_name(tool, None) for tool in view.tool_choice.tools or ()])
    return NeutralRequest(
        system=tuple(system),
        turns=merged_turns(turns),
        tools=tools,
        tool_choice=_tool_choice(view.tool_choice),
        is_parallel=view.parallel_tool_calls,
        max_output_tokens=view.max_output_tokens,
        sampling=Sampling(view.temperature, view.top_p),
        output_format=_output_format(view.text.format if view.text else None),
        reasoning=_reasoning(view.reasoning),
        user_id=view.user,
        is_streaming=bool(view.stream),
    )


def _tools(tool: _Tool, namespace: str | None) -> Iterator[Tool]:
    """Yield a tool as functions; one that OpenAI runs itself is left out.

    Raises:
        BadRequestError: The tool cannot be carried to another dialect, or has no name.
    """
    if tool.type == "namespace":
        for inner in tool.tools or ():
            yield from _tools(inner, tool.name)
        return
    if tool.type == APPLY_PATCH:
        yield apply_patch_tool()
        return
    if tool.type not in ("function", "custom"):
        if fields_of(NAME).is_left_out(tool.type):
            return
        raise BadRequestError(f"a tool of type {tool.type!r} cannot be carried to other providers", param="tools")
    if tool.name is None:
        raise BadRequestError(f"a tool of type {tool.type!r} needs a name", param="tools")
    name = namespaced(namespace, tool.name)
    if tool.type == "custom":
        yield custom_tool(name, tool.description, tool.format, ToolForm("custom", tool.name, namespace))
        return
    form = None if namespace is None else ToolForm("function", tool.name, namespace)
    yield Tool(name, tool.description, tool.parameters or NO_PARAMETERS, tool.strict, form=form)


def _sent_name(tool: _Tool | _ToolChoice, namespace: str | None) -> str:
    return namespaced(namespace, tool.name or tool.type)


def _tool_choice(choice: _ToolMode | _ToolChoice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if not isinstance(choice, _ToolChoice):
        return ToolChoice(choice)
    if choice.type == "allowed_tools":
        return ToolChoice(choice.mode)
    return ToolChoice("named", _sent_name(choice, choice.namespace))


def _output_format(wanted: _Format | None) -> OutputFormat | None:
    if wanted is None:
        return None
    return read_output_format(wanted.type, wanted.schema, wanted.name, wanted.strict, schema_field="text.format.schema")


def _reasoning(wanted: _Reasoning | None) -> Reasoning | None:
    if wanted is None or (wanted.effort is None and wanted.summary is None):
        return None
    return Reasoning(wanted.effort or "medium", None, wanted.summary is not None)
