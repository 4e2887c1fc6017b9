"""Makes a neutral request fit what a provider accepts, before its dialect is written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from serve.dialects.neutral.accepted_names import accepted_call_id, accepted_tool_name, accepted_user
from serve.dialects.neutral.parts import (
    MediaPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolForm,
    ToolResultPart,
)
from serve.dialects.neutral.reading import NO_PARAMETERS
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
from serve.dialects.neutral.schema_subset import fit_schema, is_strict, object_schema
from serve.dialects.quirks import Quirks


def fitted(request: NeutralRequest, quirks: Quirks, *, takes_effort_with_tools: bool = False) -> NeutralRequest:
    """Return the request as a provider with these quirks accepts it.

    Args:
        request: The request.
        quirks: Quirks of the provider and the model.
        takes_effort_with_tools: Whether `effort_with_tools` does not hold in the dialect that is written.
    """
    if not request.turns and request.system:  # every provider but OpenAI wants a turn of the user
        request = replace(request, system=(), turns=(Turn("user", request.system),))
    turns = tuple(_turn(turn, quirks) for turn in request.turns)
    tools = tuple(_tool(tool, quirks) for tool in request.tools)
    choice = request.tool_choice
    if quirks.offers_called_tools and not tools:
        tools = _called_tools(turns)
        choice = ToolChoice("none") if tools else choice
    reasoning = _reasoning(request, quirks, takes_effort_with_tools=takes_effort_with_tools)
    if choice is not None and choice.name is not None:
        choice = replace(choice, name=accepted_tool_name(choice.name, quirks))
    return replace(
        request,
        turns=turns,
        tools=tools,
        tool_choice=choice,
        sampling=_sampling(request.sampling, reasoning, quirks),
        stop=_stop(request.stop, quirks),
        output_format=_output_format(request.output_format, quirks),
        reasoning=reasoning,
        user_id=None if request.user_id is None else accepted_user(request.user_id, quirks),
    )


def forms_of(request: NeutralRequest, quirks: Quirks) -> Mapping[str, ToolForm]:
    """Return the forms of tools that the provider gets under another name or as another kind, by the name it gets."""
    forms = {}
    for tool in request.tools:
        name = accepted_tool_name(tool.name, quirks)
        if tool.form is not None or name != tool.name:
            forms[name] = tool.form or ToolForm("function", tool.name)
    return forms


def turns_with_thoughts(
    turns: Sequence[Turn], is_taken: Callable[[ReasoningPart], bool], *, takes_blank_text: bool = True
) -> tuple[Turn, ...]:
    """Return the turns with only the thoughts and texts that a dialect takes; a turn that is empty then is left out.

    Args:
        turns: Turns of the conversation.
        is_taken: Function that returns whether the dialect takes a thought.
        takes_blank_text: Whether the dialect takes texts of blanks alone; none takes empty ones.
    """

    def is_kept(part: Part) -> bool:
        if isinstance(part, ReasoningPart):
            return is_taken(part)
        return not isinstance(part, TextPart) or bool(part.text if takes_blank_text else part.text.strip())

    return merged_turns([Turn(turn.role, tuple(part for part in turn.parts if is_kept(part))) for turn in turns])


def _turn(turn: Turn, quirks: Quirks) -> Turn:
    parts = tuple(_part(part, quirks) for part in turn.parts)
    return turn if all(new is old for new, old in zip(parts, turn.parts, strict=True)) else Turn(turn.role, parts)


def _part(part: Part, quirks: Quirks) -> Part:
    if isinstance(part, ToolCallPart):
        call_id, name = accepted_call_id(part.call_id, quirks), accepted_tool_name(part.name, quirks)
        return part if (call_id, name) == (part.call_id, part.name) else replace(part, call_id=call_id, name=name)
    if isinstance(part, ToolResultPart):
        call_id = accepted_call_id(part.call_id, quirks)
        content = tuple(_media(inner, quirks) if isinstance(inner, MediaPart) else inner for inner in part.content)
        return (
            part
            if call_id == part.call_id and content == part.content
            else replace(part, call_id=call_id, content=content)
        )
    return _media(part, quirks) if isinstance(part, MediaPart) else part


def _media(part: MediaPart, quirks: Quirks) -> MediaPart:
    media_type = quirks.media_types.get(part.media_type or "")
    return part if media_type is None else replace(part, media_type=media_type)


def _tool(tool: Tool, quirks: Quirks) -> Tool:
    name, subset = accepted_tool_name(tool.name, quirks), quirks.schema_subset
    fits: dict[str, object] = {} if name == tool.name else {"name": name}
    parameters = object_schema(tool.parameters)
    if subset is not None and (tool.is_strict or quirks.fits_tool_schemas):
        parameters = fit_schema(parameters, subset)
        if tool.is_strict and subset.needs_every_key and not is_strict(parameters):
            fits["is_strict"] = False
    if parameters is not tool.parameters:
        fits["parameters"] = parameters
    return replace(tool, **fits) if fits else tool  # type: ignore[arg-type]  # each name has its field's type


def _called_tools(turns: Sequence[Turn]) -> tuple[Tool, ...]:
    """Return the tools that the conversation calls, for a request that offers none."""
    called = [part.name for turn in turns for part in turn.parts if isinstance(part, ToolCallPart)]
    return tuple(Tool(name, None, NO_PARAMETERS) for name in dict.fromkeys(called))


def _stop(stop: tuple[str, ...], quirks: Quirks) -> tuple[str, ...]:
    accepted = tuple(text for text in stop if text.strip()) if quirks.refuses_blank_stops else stop
    return accepted[: quirks.most_stop_sequences]


def _sampling(sampling: Sampling, reasoning: Reasoning | None, quirks: Quirks) -> Sampling:
    changed: dict[str, Any] = {
        name: min(max(value, least), most)
        for name, (least, most) in quirks.clamped_parameters.items()
        if (value := getattr(sampling, name, None)) is not None and not least <= value <= most
    }
    given = [name for name in quirks.exclusive_parameters if getattr(sampling, name, None) is not None]
    changed |= dict.fromkeys(given[1:])
    if reasoning is not None and not reasoning.is_off:
        changed |= dict.fromkeys(quirks.refused_with_thinking)
    return replace(sampling, **changed) if changed else sampling


def _output_format(wanted: OutputFormat | None, quirks: Quirks) -> OutputFormat | None:
    subset = quirks.schema_subset
    if wanted is None or wanted.schema is None or subset is None:
        return wanted
    is_too_open = wanted.is_strict and subset.needs_every_key and not is_strict(wanted.schema)
    return replace(
        wanted, schema=fit_schema(wanted.schema, subset), is_strict=False if is_too_open else wanted.is_strict
    )


def _reasoning(request: NeutralRequest, quirks: Quirks, *, takes_effort_with_tools: bool) -> Reasoning | None:
    wanted = request.reasoning
    is_bound = quirks.effort_with_tools is not None and (wanted is not None or quirks.states_effort_with_tools)
    if request.tools and is_bound and not takes_effort_with_tools:
        return Reasoning(quirks.effort_with_tools, is_shown=False)
    if wanted is None or wanted.effort is None or wanted.effort not in quirks.effort_words:
        return wanted
    return replace(wanted, effort=quirks.effort_words[wanted.effort])
