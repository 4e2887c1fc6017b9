"""The parts of messages in neutral form."""

import base64
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

CacheTtl = Literal["5m", "1h"]
"""Time that a provider is asked to keep the prompt so far in its cache."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text.

    Args:
        text: The text.
        cache: Cache time of the prompt up to here. None: no caching is asked for.
    """

    text: str
    cache: CacheTtl | None = None


@dataclass(frozen=True, slots=True)
class MediaPart:
    """An image, a document or sound: its data, or its URL.

    Args:
        kind: Kind of the media.
        media_type: Media type, for instance `image/png`. None: unknown, only with a URL.
        data: Data in base64. None: see `url`.
        url: URL of the media. None: see `data`.
        name: File name of a document.
        detail: Level of detail at which an image is read (`low`, `high`, `auto`).
        cache: Cache time of the prompt up to here. None: no caching is asked for.
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
    """A thought of a model.

    Args:
        text: Text of the thought, or a summary; empty if the provider hides it.
        signature: The vendor's signature on the text. None: it is not signed.
        encrypted: Hidden thoughts that only the vendor can read. None: there are none.
        vendor: Vendor that signed or encrypted the thought. None: it is neither signed nor encrypted.
    """

    text: str
    signature: str | None = None
    encrypted: str | None = None
    vendor: str | None = None


ToolKind = Literal["function", "custom", "apply_patch"]


@dataclass(frozen=True, slots=True)
class ToolForm:
    """The form in which a caller offered a tool that other dialects get as a function.

    Args:
        kind: Kind of the tool: a function, `custom` (one text, not JSON) or OpenAI's `apply_patch`.
        name: Name that the caller gave it.
        namespace: Namespace that the caller put it into. None: none.
    """

    kind: ToolKind
    name: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A tool call that a model wants.

    Args:
        call_id: Id of the call; its result has the same.
        name: Name of the tool.
        arguments: JSON, unchanged from the model.
        signature: Gemini's signature on the thought behind the call. None: it is not signed.
        cache: Cache time of the prompt up to here. None: no caching is asked for.
        form: Form in which the caller offered the tool. None: a plain function.
    """

    call_id: str
    name: str
    arguments: str
    signature: str | None = None
    cache: CacheTtl | None = None
    form: ToolForm | None = None


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """The result of a tool call.

    Args:
        call_id: Id of the call.
        content: Text and media of the result.
        is_error: Whether the call failed.
        cache: Cache time of the prompt up to here. None: no caching is asked for.
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


def text_of_document(part: MediaPart) -> str | None:
    """Return the text of a document that is plain text. None: it is another kind of document, or has only a URL."""
    if part.kind != "document" or part.data is None or not (part.media_type or "").startswith("text/"):
        return None
    try:
        return base64.b64decode(part.data).decode()
    except ValueError:
        return None


def arguments_text(arguments: Any) -> str:
    """Return a call's arguments as JSON text; some servers send an object, or nothing."""
    if isinstance(arguments, str):
        return arguments or "{}"
    return "{}" if arguments is None else msgspec.json.encode(arguments).decode()


def arguments_object(text: str) -> dict[str, Any]:
    """Return a call's arguments as an object, which most dialects want.

    Arguments that are not a JSON object are kept in a field called `arguments`.
    """
    try:
        value = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        value = text
    return value if isinstance(value, dict) else {"arguments": value}
