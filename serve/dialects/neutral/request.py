"""A request for an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from serve.dialects.neutral.parts import CacheTtl, Part, TextPart

Role = Literal["user", "assistant"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said at a time; results of tools are the user's."""

    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call.

    Args:
        name: Its name.
        description: What it does; None: not said.
        parameters: JSON schema of its arguments.
        is_strict: Arguments must fit the schema; None: not said.
        cache: Ask the provider to cache everything up to here.
    """

    name: str
    description: str | None
    parameters: Mapping[str, Any]
    is_strict: bool | None = None
    cache: CacheTtl | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether a tool has to be called.

    Args:
        mode: `auto` leaves it open, `none` forbids it, `required` wants any, `named` wants the one called `name`.
        name: See above.
    """

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """Answers in JSON.

    Args:
        schema: That the answer must fit; None: any JSON object.
        name: Of the schema.
        is_strict: None: not said.
    """

    schema: Mapping[str, Any] | None
    name: str = "answer"
    is_strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How much to think.

    Args:
        effort: In words; None: see the budget.
        budget_tokens: At most so many tokens; None: see the effort.
        is_shown: Whether the caller wants to see it.
    """

    effort: Effort | None = None
    budget_tokens: int | None = None
    is_shown: bool = True

    @property
    def is_off(self) -> bool:
        """Whether no thinking is wanted."""
        return self.effort == "none"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn; None: as the provider does by default."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class NeutralRequest:
    """A request in no provider's dialect.

    Args:
        system: What the model is told beforehand.
        turns: The conversation; turns of one side are never neighbours.
        tools: What may be called.
        tool_choice: None: not said.
        is_parallel: Whether several tools may be called at once; None: not said.
        max_output_tokens: None: not said.
        sampling: How tokens are drawn.
        stop: Where to stop.
        output_format: None: free text.
        reasoning: None: not said.
        user_id: Opaque, of the caller's end user; None: not said.
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
    """Return the turns with neighbours of one side made one, and empty ones left out."""
    merged: list[Turn] = []
    for turn in turns:
        if not turn.parts:
            continue
        if merged and merged[-1].role == turn.role:
            merged[-1] = Turn(turn.role, merged[-1].parts + turn.parts)
        else:
            merged.append(turn)
    return tuple(merged)
