"""Reads the content of an answer from the provider's bytes, in any dialect: text, tool calls, and refusals."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from serve.dialects.neutral.answer import Finished, TextDelta, ToolArguments, ToolCallBegan
from serve.dialects.neutral.parts import ToolCallPart, joined_text
from serve.dialects.quirks import Quirks
from serve.dialects.registry import DIALECTS
from serve.dialects.sse import EventSplitter, event_data
from serve.dialects.translation import UpstreamDialect

_REFUSAL_FIELD = (b'"refusal":"', b'"refusal": "')
_REFUSED = frozenset({"content_filter", "refusal"})
_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "incomplete", "model_context_window_exceeded"})


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call that the answer asks for; `arguments` is JSON as the language model wrote it."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class AnswerContent:
    """The content of an answer.

    Args:
        text: Whole text; empty: none.
        calls: Tool calls.
        is_refused: Whether the provider marks the answer as a refusal.
        is_cut: Whether the answer ended at a limit of length.
    """

    text: str
    calls: tuple[ToolCall, ...]
    is_refused: bool
    is_cut: bool


def read_answer_content(
    dialect: str, raw: bytes | Sequence[bytes], finish_reason: str | None, quirks: Quirks, text: str | None = None
) -> AnswerContent:
    """Return the content of an answer.

    Args:
        dialect: Dialect of the provider's answer.
        raw: Whole body, or the pieces of a stream.
        finish_reason: Finish reason that the gateway logged.
        quirks: Quirks of the provider.
        text: Text of the answer, if the gateway has read it; None: it has not.

    Raises:
        ValueError: The bytes are no answer in this dialect.
        KeyError: The dialect has no text, as embeddings have none.
    """
    is_cut, is_refused = finish_reason in _CUT, finish_reason in _REFUSED
    joined = raw if isinstance(raw, bytes) else b"".join(raw)
    if dialect == "openai":
        is_refused = is_refused or any(field in joined for field in _REFUSAL_FIELD)
        if text and b'"tool_calls"' not in joined:
            return AnswerContent(text, (), is_refused, is_cut)
    if dialect == "responses":
        joined_pieces, calls, has_refusal = _read_responses(joined, is_stream=not isinstance(raw, bytes))
        return AnswerContent(joined_pieces, calls, is_refused or has_refusal, is_cut)
    if isinstance(raw, bytes):
        answer = _upstream(dialect).read_answer(raw, quirks)
        calls = tuple(ToolCall(part.name, part.arguments) for part in answer.parts if isinstance(part, ToolCallPart))
        reason = answer.finish_reason
        return AnswerContent(
            joined_text(answer.parts), calls, is_refused or reason in _REFUSED, is_cut or reason in _CUT
        )
    if dialect == "openai" and (quick := _read_text_stream(joined)) is not None:
        return AnswerContent(quick, (), is_refused, is_cut)
    return _read_stream(dialect, joined, quirks, is_refused=is_refused, is_cut=is_cut)


def _upstream(dialect: str) -> UpstreamDialect:
    upstream = DIALECTS[dialect].upstream
    if upstream is None:
        raise KeyError(dialect)
    return upstream


class _Delta(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[msgspec.Raw] | None = None


class _Choice(Struct):
    index: int = 0
    delta: _Delta | None = None


class _Chunk(Struct):
    choices: list[_Choice] | None = None


_decode_chunks = msgspec.json.Decoder(_Chunk).decode_lines


def _read_text_stream(raw: bytes) -> str | None:
    """Return the text of a chat stream, six times as fast as by events; None: it has calls, or an unusual form."""
    if b"\r" in raw or b'"tool_calls"' in raw:
        return None
    lines = [event[5:] for event in raw.split(b"\n\n") if event.startswith(b"data:")]
    if lines and lines[-1].strip() == b"[DONE]":
        lines.pop()
    try:
        chunks = _decode_chunks(b"\n".join(lines))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices or () if choice.index == 0 and choice.delta]
    return "".join([delta.content or delta.refusal or "" for delta in deltas])


def _read_stream(dialect: str, raw: bytes, quirks: Quirks, *, is_refused: bool, is_cut: bool) -> AnswerContent:
    text: list[str] = []
    names: dict[int, str] = {}
    arguments: dict[int, list[str]] = {}
    reader = _upstream(dialect).stream_reader(quirks)
    for event in reader.feed(raw) + reader.feed(b"\n\n"):
        if isinstance(event, TextDelta):
            text.append(event.text)
        elif isinstance(event, ToolCallBegan):
            names[event.number] = event.name
        elif isinstance(event, ToolArguments):
            arguments.setdefault(event.number, []).append(event.json)
        elif isinstance(event, Finished):
            is_refused, is_cut = is_refused or event.reason in _REFUSED, is_cut or event.reason in _CUT
    calls = tuple(ToolCall(name, "".join(arguments.get(number, ["{}"]))) for number, name in names.items())
    return AnswerContent("".join(text), calls, is_refused, is_cut)


class _Piece(Struct):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None


class _Item(Struct):
    type: str
    content: list[_Piece] | None = None
    name: str | None = None
    arguments: str | None = None


class _Response(Struct):
    output: list[_Item] = []


class _Event(Struct):
    type: str
    response: _Response | None = None


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def _read_responses(raw: bytes, *, is_stream: bool) -> tuple[str, tuple[ToolCall, ...], bool]:
    """Return text, calls and whether it refuses. A stream ends with the whole response, so its pieces are not read."""
    try:
        response = _last_response(raw) if is_stream else _decode_response(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"not a response: {type(error).__name__}") from None
    pieces = [piece for item in response.output if item.type == "message" for piece in item.content or ()]
    calls = tuple(
        ToolCall(item.name or "", item.arguments or "{}") for item in response.output if item.type == "function_call"
    )
    return "".join(piece.text or piece.refusal or "" for piece in pieces), calls, any(piece.refusal for piece in pieces)


def _last_response(raw: bytes) -> _Response:
    events = EventSplitter().feed(raw + b"\n\n")
    for event in reversed(events):
        data = event_data(event)
        if data is not None and (response := _decode_event(data).response) is not None:
            return response
    raise ValueError("a stream without a response")
