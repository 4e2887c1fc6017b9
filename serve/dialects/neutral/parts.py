"""What messages are made of."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

CacheTtl = Literal["5m", "1h"]
"""How long a provider is asked to keep what was read so far in its prompt cache."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text.

    Args:
        text: The text.
        cache: Ask the provider to cache everything up to here.
    """

    text: str
    cache: CacheTtl | None = None


@dataclass(frozen=True, slots=True)
class MediaPart:
    """An image, a document or sound: inline, or where to find it.

    Args:
        kind: What it is.
        media_type: As in `image/png`; None: unknown, which only a URL may be.
        data: Base64; None: see `url`.
        url: Where it lies; None: see `data`.
        name: Of a document.
        detail: How closely an image is looked at (`low`, `high`, `auto`).
        cache: Ask the provider to cache everything up to here.
    """

    kind: Literal["image", "document", "audio"]
    media_type: str | None
    data: str | None = None
    url: str | None = None
    name: str | None = None
    detail: str | None = None
    cache: CacheTtl | None = None


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """What a model thought.

    Args:
        text: In the clear, or a summary; empty where the provider hides it.
        signature: Proof for the vendor that the text is its own; None: not signed.
        encrypted: Hidden thoughts that only the vendor can read; None: none.
        vendor: Who signed or encrypted it; None: nobody did.
    """

    text: str
    signature: str | None = None
    encrypted: str | None = None
    vendor: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A call that a model wants to be made.

    Args:
        call_id: Which the result refers to.
        name: Of the tool.
        arguments: JSON, as the model wrote it.
        signature: Gemini's proof of the thought behind the call; None: none.
        cache: Ask the provider to cache everything up to here.
    """

    call_id: str
    name: str
    arguments: str
    signature: str | None = None
    cache: CacheTtl | None = None


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a call gave.

    Args:
        call_id: Of the call.
        content: Text and media.
        is_error: The call failed.
        cache: Ask the provider to cache everything up to here.
    """

    call_id: str
    content: "tuple[TextPart | MediaPart, ...]"
    is_error: bool = False
    cache: CacheTtl | None = None


UserPart = TextPart | MediaPart | ToolResultPart
AssistantPart = TextPart | ReasoningPart | ToolCallPart
Part = TextPart | MediaPart | ToolResultPart | ReasoningPart | ToolCallPart


def joined_text(parts: "tuple[Part, ...]") -> str:
    """Return the text of all text parts, one after the other."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def arguments_object(text: str) -> dict[str, Any]:
    """Return a call's arguments as an object, which most dialects want; what a model wrote wrongly is kept, under one name."""
    try:
        value = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        value = text
    return value if isinstance(value, dict) else {"arguments": value}
