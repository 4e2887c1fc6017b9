"""Reads a Messages request into a neutral request."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from msgspec import Struct

from router.lane import Effort
from serve.dialects.anthropic import NAME
from serve.dialects.anthropic.blocks import Block, CacheControl, TextBlock, carried_in, part_of_block, ttl_of
from serve.dialects.anthropic.client_tools import client_tool
from serve.dialects.field_table import fields_of
from serve.dialects.inquiry import Body
from serve.dialects.json_body import typed
from serve.dialects.neutral.parts import Part, TextPart
from serve.dialects.neutral.reading import NO_PARAMETERS, plain_parts, with_signature
from serve.dialects.neutral.request import (
    NeutralRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
    Turn,
    merged_turns,
)
from serve.errors import BadRequestError


class _Message(Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class _Tool(Struct):
    name: str
    input_schema: dict[str, Any] = {}
    type: str | None = None
    description: str | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None


class _ToolChoice(Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Format(Struct):
    schema: dict[str, Any]


class _OutputConfig(Struct):
    effort: Effort | None = None
    format: _Format | None = None


class _Metadata(Struct):
    user_id: str | None = None


class _Body(Struct):
    messages: list[_Message]
    max_tokens: int | None = None
    system: str | list[TextBlock] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    metadata: _Metadata | None = None
    stream: bool | None = None


def read_request(body: Body) -> NeutralRequest:
    """Return the request that a Messages body holds.

    Raises:
        BadRequestError: A field is malformed or cannot be carried to another dialect; the error names it.
    """
    view = typed(body, _Body)
    turns, system = [], list(_system(view.system))
    for place, message in enumerate(view.messages):
        parts = _parts(message.content, f"messages[{place}]")
        if message.role == "system":
            system += [part for part in parts if isinstance(part, TextPart)]
        else:
            turns.append(Turn(message.role, parts))
    choice, config = view.tool_choice, view.output_config or _OutputConfig()
    return NeutralRequest(
        system=tuple(system),
        turns=merged_turns(turns),
        tools=_tools(view.tools or ()),
        tool_choice=_tool_choice(choice),
        is_parallel=None
        if choice is None or choice.disable_parallel_tool_use is None
        else not choice.disable_parallel_tool_use,
        max_output_tokens=view.max_tokens,
        sampling=Sampling(view.temperature, view.top_p, view.top_k),
        stop=tuple(view.stop_sequences or ()),
        output_format=None if config.format is None else OutputFormat(config.format.schema, is_strict=True),
        reasoning=_reasoning(view.thinking, config.effort),
        user_id=None if view.metadata is None else view.metadata.user_id,
        is_streaming=bool(view.stream),
    )


def _tools(tools: Sequence[_Tool]) -> tuple[Tool, ...]:
    """Return the tools that other providers can offer; those that Anthropic runs itself are left out."""
    read = []
    for tool in tools:
        if tool.type is not None and tool.type != "custom":
            function = client_tool(tool.type, tool.name)
            if function is None and not fields_of(NAME).is_left_out(tool.type):
                raise BadRequestError(
                    f"a tool of type {tool.type!r} cannot be carried to other providers", param="tools"
                )
            read += [] if function is None else [replace(function, cache=ttl_of(tool.cache_control))]
        else:
            read.append(
                Tool(
                    tool.name,
                    tool.description,
                    tool.input_schema or NO_PARAMETERS,
                    tool.strict,
                    ttl_of(tool.cache_control),
                )
            )
    return tuple(read)


def _system(system: str | list[TextBlock] | None) -> tuple[TextPart, ...]:
    if system is None or isinstance(system, str):
        return plain_parts(system)
    return tuple(TextPart(block.text, ttl_of(block.cache_control)) for block in system)


def _parts(content: str | list[Block], where: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return plain_parts(content)
    parts: list[Part] = []
    signatures: dict[str | None, str] = {}
    for place, block in enumerate(content):
        here = f"{where}.content[{place}]"
        carried = carried_in(block, here)
        if carried is not None and carried.kind == "call":  # belongs to a call that comes later
            signatures[carried.call_id] = carried.data
            continue
        parts.append(with_signature(part_of_block(block, here), signatures))
    return tuple(parts)


def _tool_choice(choice: _ToolChoice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if choice.type == "tool":
        return ToolChoice("named", choice.name)
    return ToolChoice("required" if choice.type == "any" else choice.type)


def _reasoning(thinking: _Thinking | None, effort: Effort | None) -> Reasoning | None:
    if thinking is None:
        return None if effort is None else Reasoning(effort)
    if thinking.type == "disabled":
        return Reasoning("none")
    is_shown = thinking.display != "omitted"
    if thinking.budget_tokens is not None:
        return Reasoning(effort, thinking.budget_tokens, is_shown)
    return Reasoning(effort or "medium", None, is_shown)
