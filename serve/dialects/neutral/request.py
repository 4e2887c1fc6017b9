"""A request in neutral form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from router.lane import Effort
from serve.dialects.neutral.parts import CacheTtl, Part, TextPart, ToolForm

Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation. Results of tools belong to the user's turns."""

    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call.

    Args:
        name: Name of the function.
        description: Description for the model. None: the caller gave none.
        parameters: JSON schema of the arguments.
        is_strict: Whether the arguments must fit the schema. None: the caller does not say.
        cache: Cache time of the prompt up to here. None: no caching is asked for.
        form: Form in which the caller offered it. None: a plain function.
    """

    name: str
    description: str | None
    parameters: Mapping[str, Any]
    is_strict: bool | None = None
    cache: CacheTtl | None = None
    form: ToolForm | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether the model must call a tool.

    Args:
        mode: `auto`: the model may. `none`: it must not. `required`: it must call any tool. `named`: the tool `name`.
        name: Name of the tool for `named`, else None.
    """

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """An answer in JSON.

    Args:
        schema: JSON schema of the answer. None: any JSON object will do.
        name: Name of the schema.
        is_strict: Whether the answer must fit the schema. None: the caller does not say.
    """

    schema: Mapping[str, Any] | None
    name: str = "answer"
    is_strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The amount of thinking that the caller wants.

    Args:
        effort: Effort in words. None: see the budget.
        budget_tokens: Largest number of thinking tokens. None: see the effort.
        is_shown: Whether the caller wants to see the thoughts.
    """

    effort: Effort | None = None
    budget_tokens: int | None = None
    is_shown: bool = True

    @property
    def is_off(self) -> bool:
        """Whether the caller wants no thinking."""
        return self.effort == "none"


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters. None: the provider's default."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class NeutralRequest:
    """A request in neutral form. None means that the caller does not say.

    Args:
        system: System instructions.
        turns: Turns of the conversation. Two turns of one side never follow each other.
        tools: Tools that the model may call.
        tool_choice: Choice of the tool; may be None.
        is_parallel: Whether the model may call several tools at once; may be None.
        max_output_tokens: Largest number of tokens of the answer; may be None.
        sampling: Sampling parameters.
        stop: Stop sequences.
        output_format: Format of the answer. None: free text.
        reasoning: Amount of thinking; may be None.
        user_id: Opaque id of the caller's end user; may be None.
        is_streaming: Whether the answer comes as a stream.
    """

    system: tuple[TextPart, ...]
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    is_parallel: bool | None = None
    max_output_tokens: int | None = None
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()
    output_format: OutputFormat | None = None
    reasoning: Reasoning | None = None
    user_id: str | None = None
    is_streaming: bool = False


def merged_turns(turns: "list[Turn]") -> tuple[Turn, ...]:
    """Return the turns without empty ones; turns of one side that follow each other become one."""
    merged: list[Turn] = []
    for turn in turns:
        if not turn.parts:
            continue
        if merged and merged[-1].role == turn.role:
            merged[-1] = Turn(turn.role, merged[-1].parts + turn.parts)
        else:
            merged.append(turn)
    return tuple(merged)
