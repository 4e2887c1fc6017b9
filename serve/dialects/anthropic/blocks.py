"""The content blocks of a Messages request that can be carried to other dialects.

Source: the types of the package anthropic 2.12.0, read 2026-11-23.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from serve.dialects.carried_thoughts import CarriedThought, carried_by
from serve.dialects.neutral.parts import (
    CacheTtl,
    MediaPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from serve.dialects.neutral.reading import plain_parts
from serve.errors import BadRequestError

VENDOR = "anthropic"


class CacheControl(Struct):
    """`cache_control`."""

    type: Literal["ephemeral"] = "ephemeral"
    ttl: CacheTtl | None = None


class Source(Struct):
    """The source of an image or a document."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    content: Any = None


class TextBlock(Struct, tag_field="type", tag="text"):
    """Text."""

    text: str
    cache_control: CacheControl | None = None


class ImageBlock(Struct, tag_field="type", tag="image"):
    """An image."""

    source: Source
    cache_control: CacheControl | None = None


class DocumentBlock(Struct, tag_field="type", tag="document"):
    """A document."""

    source: Source
    title: str | None = None
    context: str | None = None
    cache_control: CacheControl | None = None


class ThinkingBlock(Struct, tag_field="type", tag="thinking"):
    """A signed thought."""

    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(Struct, tag_field="type", tag="redacted_thinking"):
    """A thought that only the vendor can read."""

    data: str


class ToolUseBlock(Struct, tag_field="type", tag="tool_use"):
    """A tool call."""

    id: str
    name: str
    input: dict[str, Any]
    cache_control: CacheControl | None = None


class ToolResultBlock(Struct, tag_field="type", tag="tool_result"):
    """The result of a tool call."""

    tool_use_id: str
    content: str | list[TextBlock | ImageBlock | DocumentBlock] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


Block = TextBlock | ImageBlock | DocumentBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ToolResultBlock


def carried_in(block: Block, where: str) -> CarriedThought | None:
    """Return what a redacted thought carries. None: the block is not a redacted thought.

    Raises:
        BadRequestError: The gateway wrote the thought, and it was changed since.
    """
    return carried_by(block.data, VENDOR, f"{where}.data") if isinstance(block, RedactedThinkingBlock) else None


def part_of_block(block: Block, where: str) -> Part:
    """Return a block in neutral form.

    Raises:
        BadRequestError: The block's media cannot be carried to other providers.
    """
    if isinstance(block, TextBlock):
        return TextPart(block.text, ttl_of(block.cache_control))
    if isinstance(block, ThinkingBlock):
        return ReasoningPart(block.thinking, block.signature or None, vendor=VENDOR if block.signature else None)
    if isinstance(block, RedactedThinkingBlock):
        return ReasoningPart("", encrypted=block.data, vendor=VENDOR)
    if isinstance(block, ToolUseBlock):
        return ToolCallPart(
            block.id, block.name, msgspec.json.encode(block.input).decode(), cache=ttl_of(block.cache_control)
        )
    if isinstance(block, ToolResultBlock):
        return ToolResultPart(
            block.tool_use_id, _result(block, where), bool(block.is_error), ttl_of(block.cache_control)
        )
    return _media(block, where)


def _result(block: ToolResultBlock, where: str) -> tuple[TextPart | MediaPart, ...]:
    if block.content is None or isinstance(block.content, str):
        return plain_parts(block.content)
    parts = (part_of_block(inner, f"{where}.content[{place}]") for place, inner in enumerate(block.content))
    return tuple(part for part in parts if isinstance(part, TextPart | MediaPart))


def _media(block: ImageBlock | DocumentBlock, where: str) -> TextPart | MediaPart:
    source, ttl = block.source, ttl_of(block.cache_control)
    name = block.title if isinstance(block, DocumentBlock) else None
    if source.type == "text" and source.data is not None:
        return TextPart(source.data, ttl)
    kind: Literal["image", "document"] = "image" if isinstance(block, ImageBlock) else "document"
    if source.type == "base64" and source.data is not None:
        return MediaPart(kind, source.media_type, source.data, name=name, cache=ttl)
    if source.type == "url" and source.url is not None:
        return MediaPart(kind, source.media_type, url=source.url, name=name, cache=ttl)
    raise BadRequestError(
        f"a source of type {source.type!r} cannot be carried to other providers", param=f"{where}.source"
    )


def ttl_of(control: CacheControl | None) -> CacheTtl | None:
    """Return how long the prompt up to a block is to be cached. None: it is not."""
    return None if control is None else control.ttl or "5m"
