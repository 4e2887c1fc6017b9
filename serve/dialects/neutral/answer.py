"""An answer, whole or as the events of a stream."""

from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from router.price_table import TokenUsage
from serve.dialects.neutral.parts import AssistantPart

FinishReason = Literal["stop", "stop_sequence", "length", "tool_calls", "content_filter", "context_length", "pause"]


@dataclass(frozen=True, slots=True)
class NeutralAnswer:
    """A whole answer.

    Args:
        answer_id: The provider's.
        upstream_model: As the provider calls it.
        parts: In the order they were said.
        finish_reason: Why it ended.
        usage: None: the provider sent none.
        stop_sequence: Which one was met, where the provider says so.
    """

    answer_id: str
    upstream_model: str
    parts: tuple[AssistantPart, ...]
    finish_reason: FinishReason
    usage: TokenUsage | None
    stop_sequence: str | None = None


class Began(Struct, gc=False):
    """The stream has begun."""

    answer_id: str
    upstream_model: str
    prompt_usage: TokenUsage | None = None
    """What is known of the prompt's tokens by then."""


class TextDelta(Struct, gc=False):
    """More text."""

    text: str


class ReasoningDelta(Struct, gc=False):
    """More of what the model thinks."""

    text: str


class ReasoningSigned(Struct, gc=False):
    """The thoughts so far are complete, and this is the proof that they are the vendor's."""

    signature: str
    vendor: str


class ReasoningHidden(Struct, gc=False):
    """Thoughts that only the vendor can read."""

    encrypted: str
    vendor: str


class ToolCallBegan(Struct, gc=False):
    """A call; its arguments follow. Calls are numbered from 0 in the order they begin."""

    number: int
    call_id: str
    name: str
    signature: str | None = None


class ToolArguments(Struct, gc=False):
    """More of a call's arguments, as JSON text."""

    number: int
    json: str


class Finished(Struct, gc=False):
    """The answer is complete."""

    reason: FinishReason
    stop_sequence: str | None = None


class Counted(Struct, gc=False):
    """The tokens, as far as they are known; a later one takes the place of an earlier one."""

    usage: TokenUsage


class Failed(Struct, gc=False):
    """The provider broke the stream off with an error."""

    message: str


AnswerEvent = (
    Began
    | TextDelta
    | ReasoningDelta
    | ReasoningSigned
    | ReasoningHidden
    | ToolCallBegan
    | ToolArguments
    | Finished
    | Counted
    | Failed
)
