"""An answer in neutral form, whole or as the events of a stream."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from router.price_table import TokenUsage
from serve.dialects.neutral.parts import AssistantPart, TextPart, ToolCallPart, ToolForm

FinishReason = Literal["stop", "stop_sequence", "length", "tool_calls", "content_filter", "context_length", "pause"]


@dataclass(frozen=True, slots=True)
class NeutralAnswer:
    """A whole answer.

    Args:
        answer_id: The provider's id of the answer.
        upstream_model: The provider's name of the model.
        parts: Parts of the answer, in their order.
        finish_reason: Reason why the answer ended.
        usage: Tokens. None: the provider sent no usage.
        stop_sequence: Stop sequence that ended the answer. None: another reason, or the provider does not say.
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
    """Tokens of the prompt, if the provider sends them so early."""


class TextDelta(Struct, gc=False):
    """More text."""

    text: str


class ReasoningDelta(Struct, gc=False):
    """More of what the model thinks."""

    text: str


class ReasoningSigned(Struct, gc=False):
    """The thoughts so far are complete; this is the vendor's signature on them."""

    signature: str
    vendor: str


class ReasoningHidden(Struct, gc=False):
    """Thoughts that only the vendor can read."""

    encrypted: str
    vendor: str


class ToolCallBegan(Struct, gc=False):
    """The beginning of a tool call; its arguments follow. Calls are numbered from 0 in their order."""

    number: int
    call_id: str
    name: str
    signature: str | None = None
    form: ToolForm | None = None
    """Form in which the caller offered the tool; None: a plain function."""


class ToolArguments(Struct, gc=False):
    """More of a call's arguments, as JSON text."""

    number: int
    json: str


class Finished(Struct, gc=False):
    """The answer is complete."""

    reason: FinishReason
    stop_sequence: str | None = None


class Counted(Struct, gc=False):
    """The tokens so far. A later event replaces an earlier one."""

    usage: TokenUsage


class Failed(Struct, gc=False):
    """The provider ended the stream with an error."""

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


def events_of(answer: NeutralAnswer) -> Iterator[AnswerEvent]:
    """Yield a whole answer as the events of a stream, without its usage."""
    yield Began(answer.answer_id, answer.upstream_model, answer.usage)
    n_calls = 0
    for part in answer.parts:
        if isinstance(part, TextPart):
            yield TextDelta(part.text)
        elif isinstance(part, ToolCallPart):
            yield ToolCallBegan(n_calls, part.call_id, part.name, part.signature, part.form)
            yield ToolArguments(n_calls, part.arguments)
            n_calls += 1
        elif part.encrypted is not None:
            yield ReasoningHidden(part.encrypted, part.vendor or "")
        else:
            yield ReasoningDelta(part.text)
            if part.signature is not None:
                yield ReasoningSigned(part.signature, part.vendor or "")
    yield Finished(answer.finish_reason, answer.stop_sequence)
