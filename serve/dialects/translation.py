"""Calls between two dialects: requests, answers and streams are read into a neutral form and written from it."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

from router.lane import Capability, Lane
from router.price_table import TokenUsage
from serve.dialects.exchange import Bill, Settle, StreamedWhole, StreamRelay, WholeReply
from serve.dialects.inquiry import Inquiry
from serve.dialects.neutral.answer import (
    AnswerEvent,
    Counted,
    Failed,
    Finished,
    NeutralAnswer,
    ReasoningDelta,
    ReasoningHidden,
    TextDelta,
    ToolArguments,
    ToolCallBegan,
    events_of,
)
from serve.dialects.neutral.fitting import fitted, forms_of
from serve.dialects.neutral.parts import TextPart, joined_text
from serve.dialects.neutral.request import NeutralRequest, Reasoning
from serve.dialects.neutral.tool_forms import ToolForms
from serve.dialects.prefill import without_prefill
from serve.dialects.quirks import Quirks
from serve.dialects.usage_estimate import estimate_usage


class StreamReader(Protocol):
    """Reader of one provider's stream."""

    is_done: bool

    def feed(self, chunk: bytes) -> list[AnswerEvent]:
        """Return the events that these bytes complete.

        Raises:
            ValueError: The bytes are not of the dialect.
        """
        ...


class StreamWriter(Protocol):
    """Writer of one stream for a caller."""

    def write(self, event: AnswerEvent) -> bytes:
        """Return the bytes that the caller gets for an event; there may be none."""
        ...

    def finish(self, usage: TokenUsage, bill: Bill) -> bytes:
        """Return the end of a complete stream, with its tokens and their cost."""
        ...

    def break_off(self, message: str, code: str, usage: TokenUsage, bill: Bill) -> bytes:
        """Return the end of a broken stream."""
        ...


class UpstreamDialect(Protocol):
    """The side of a dialect that providers speak."""

    def encode_request(self, request: NeutralRequest, lane: Lane, quirks: Quirks) -> bytes:
        """Return the body to send."""
        ...

    def read_answer(self, raw: bytes, quirks: Quirks) -> NeutralAnswer:
        """Return a whole answer.

        Raises:
            ValueError: The bytes are not an answer in this dialect.
        """
        ...

    def stream_reader(self, quirks: Quirks) -> StreamReader:
        """Return a reader for one stream."""
        ...


class CallerDialect(Protocol):
    """The side of a dialect that callers get."""

    def write_answer(self, answer: NeutralAnswer, usage: TokenUsage, bill: Bill) -> dict[str, Any]:
        """Return the body of a whole answer."""
        ...

    def stream_writer(self, *, has_usage_chunk: bool = True) -> StreamWriter:
        """Return a writer for one stream.

        Args:
            has_usage_chunk: Whether the caller wants the usage in a chunk of its own, if the dialect knows such chunks.
        """
        ...


@dataclass(frozen=True, slots=True)
class TranslatedReply:
    """A whole answer that is translated; see `serve.dialects.exchange.WholeReply`."""

    answer: NeutralAnswer
    usage: TokenUsage
    caller: CallerDialect

    @property
    def finish_reason(self) -> str | None:
        """Reason why the answer ended."""
        return self.answer.finish_reason

    @property
    def text(self) -> str | None:
        """Text of the answer; None: it has none."""
        return joined_text(self.answer.parts) or None

    def body(self, bill: Bill) -> dict[str, Any]:
        """Return the body for the caller."""
        return self.caller.write_answer(self.answer, self.usage, bill)


class TranslatedStream:
    """One stream that is translated; see `serve.dialects.exchange.StreamRelay`."""

    def __init__(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        prompt_tokens: int,
        settle: Settle,
        forms: ToolForms | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._prompt_tokens = prompt_tokens
        self._settle = settle
        self._forms = forms
        self._usage: TokenUsage | None = None
        self._characters = 0
        self.finish_reason: str | None = None
        self.has_content = False
        self.error: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether the provider ended the stream."""
        return self._reader.is_done

    @property
    def usage(self) -> TokenUsage:
        """Tokens so far."""
        return self._usage or estimate_usage(self._prompt_tokens, self._characters)

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete."""
        return self.error is None and self.finish_reason is not None

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes for the caller that these bytes of the provider complete."""
        out = []
        for event in self._reader.feed(chunk):
            self._note(event)
            if self.error is not None:
                break
            if self._forms is None:
                out.append(self._writer.write(event))
            else:
                out += [self._writer.write(formed) for formed in self._forms.events(event)]
        return b"".join(out)

    def finish(self) -> bytes:
        """Return the end of the stream. A last event whose end is missing is still read."""
        rest = self.feed(b"\n\n")
        if self._forms is not None:
            rest += b"".join([self._writer.write(event) for event in self._forms.rest()])
        usage = self.usage
        return rest + self._writer.finish(usage, self._settle(usage))

    def break_off(self, message: str, code: str) -> bytes:
        """Return the end of a broken stream."""
        self.error = code
        usage = self.usage
        return self._writer.break_off(message, code, usage, self._settle(usage))

    def _note(self, event: AnswerEvent) -> None:
        if isinstance(event, TextDelta | ReasoningDelta):
            self._characters += len(event.text)
            if event.text:
                self.has_content = True
        elif isinstance(event, ToolArguments):
            self._characters += len(event.json)
        elif isinstance(event, ToolCallBegan | ReasoningHidden):
            self.has_content = True
        elif isinstance(event, Counted):
            self._usage = event.usage
        elif isinstance(event, Finished):
            self.finish_reason = event.reason
        elif isinstance(event, Failed):
            self.error = event.message


@dataclass(frozen=True, slots=True)
class Translation:
    """The exchange between two different dialects; see `serve.dialects.exchange.Exchange`."""

    caller: CallerDialect
    upstream: UpstreamDialect
    takes_effort_with_tools: bool = False
    """Whether efforts next to tools are accepted, though the provider refuses them in its main dialect."""

    def encode_request(self, inquiry: Inquiry, lane: Lane, quirks: Quirks) -> bytes:
        """Return the caller's request in the provider's dialect, with the lane's effort."""
        request, effort = inquiry.neutral, inquiry.effort_to_set(lane)
        if effort is not None:  # the caller did not ask for thoughts, so none are shown
            request = replace(request, reasoning=Reasoning(effort, is_shown=False))
        elif request.reasoning is not None and not lane.capabilities & Capability.REASONING:
            request = replace(request, reasoning=None)
        return self.upstream.encode_request(
            fitted(request, quirks, takes_effort_with_tools=self.takes_effort_with_tools), lane, quirks
        )

    def read_whole(self, raw: bytes, prompt_tokens: int, quirks: Quirks, inquiry: Inquiry | None = None) -> WholeReply:
        """Read an answer."""
        answer = self._answer(raw, quirks, inquiry)
        usage = answer.usage or estimate_usage(prompt_tokens, _characters(answer))
        return TranslatedReply(answer, usage, self.caller)

    def relay(self, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None) -> StreamRelay:
        """Return a relay for one stream."""
        reader = self.upstream.stream_reader(quirks)
        writer = self.caller.stream_writer(has_usage_chunk=inquiry is None or inquiry.has_usage_chunk)
        return TranslatedStream(reader, writer, prompt_tokens, settle, _forms(inquiry, quirks))

    def relay_whole(
        self, raw: bytes, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None
    ) -> StreamedWhole:
        """Return a whole answer as a stream."""
        answer = self._answer(raw, quirks, inquiry)
        usage = answer.usage or estimate_usage(prompt_tokens, _characters(answer))
        writer = self.caller.stream_writer(has_usage_chunk=inquiry is None or inquiry.has_usage_chunk)
        stream = b"".join([writer.write(event) for event in events_of(answer)])
        return StreamedWhole(TranslatedReply(answer, usage, self.caller), stream + writer.finish(usage, settle(usage)))

    def _answer(self, raw: bytes, quirks: Quirks, inquiry: Inquiry | None) -> NeutralAnswer:
        """Return an answer with calls in the caller's forms, and without the beginning that the caller gave."""
        answer = _continuation(self.upstream.read_answer(raw, quirks), raw, inquiry)
        forms = _forms(inquiry, quirks)
        return answer if forms is None else forms.answer(answer)


def _forms(inquiry: Inquiry | None, quirks: Quirks) -> ToolForms | None:
    """Return what puts calls back into the caller's forms. None: the provider got every tool as it was offered."""
    forms = None if inquiry is None else forms_of(inquiry.neutral, quirks)
    return ToolForms(forms) if forms else None


def _continuation(answer: NeutralAnswer, raw: bytes, inquiry: Inquiry | None) -> NeutralAnswer:
    """Return an answer without the beginning that the caller gave, if the provider repeats it."""
    place = next((place for place, part in enumerate(answer.parts) if isinstance(part, TextPart)), None)
    if inquiry is None or place is None:
        return answer
    text = without_prefill(joined_text(answer.parts[place : place + 1]), inquiry.body, raw)
    return replace(answer, parts=(*answer.parts[:place], TextPart(text), *answer.parts[place + 1 :]))


def _characters(answer: NeutralAnswer) -> int:
    return sum(len(getattr(part, "text", "") or getattr(part, "arguments", "")) for part in answer.parts)
