"""The chunks of a chat completion stream, with the fields that the relay reads."""

from typing import Any

from msgspec import Raw, Struct
from msgspec.json import Decoder

from serve.dialects.openai.usage import Usage


class Delta(Struct):
    """A piece of an answer."""

    content: Any = None
    refusal: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    tool_calls: Raw = Raw()
    function_call: Raw = Raw()
    audio: Raw = Raw()
    images: Raw = Raw()


class _Choice(Struct):
    delta: Delta | None = None
    finish_reason: Any = None
    text: Any = None
    error: Raw = Raw()


class _GroqExtra(Struct):
    usage: Usage | None = None


class Chunk(Struct):
    """One event."""

    id: Any = None
    created: Any = None
    model: Any = None
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    x_groq: _GroqExtra | None = None
    service_tier: Any = None
    error: Raw = Raw()


_decoder = Decoder(Chunk)
decode_chunk = _decoder.decode
decode_chunks = _decoder.decode_lines
