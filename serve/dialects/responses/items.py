"""The items of a Responses request that can be carried to other dialects.

Source: the types of the package openai 3.54.0, read 2026-11-23.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from serve.dialects.carried_thoughts import OPENAI, CarriedThought, carried_by
from serve.dialects.media_url import media_of_url
from serve.dialects.neutral.parts import (
    MediaPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    arguments_text,
)
from serve.dialects.neutral.reading import plain_parts
from serve.dialects.neutral.tool_forms import APPLY_PATCH, custom_arguments, namespaced
from serve.errors import BadRequestError

RESULTS = frozenset({"function_call_output", "custom_tool_call_output", "apply_patch_call_output"})
"""Types of items with the result of a call."""


class Content(Struct):
    """A piece of a message's content; its type says which fields it has."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Item(Struct):
    """An item of the input; its type says which fields it has. A message may leave its type out."""

    type: str = "message"
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: str | list[Content] | dict[str, Any] | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Any = None
    input: str | None = None
    operation: dict[str, Any] | None = None
    status: Any = None
    output: str | list[Content] | dict[str, Any] | None = None
    summary: list[Content] | None = None
    encrypted_content: str | None = None


def parts_of_content(
    content: str | list[Content] | dict[str, Any] | None, where: str
) -> tuple[TextPart | MediaPart, ...]:
    """Return a message's content in neutral form.

    Raises:
        BadRequestError: A piece cannot be carried to other providers.
    """
    if content is None or isinstance(content, str):
        return plain_parts(content)
    if isinstance(content, dict):
        raise BadRequestError("content that is an object cannot be carried to other providers", param=where)
    return tuple(_part(piece, f"{where}[{place}]") for place, piece in enumerate(content))


def part_of_item(item: Item, where: str) -> Part | CarriedThought:
    """Return a call, a result or a thought in neutral form, or the signature of a call that comes later.

    Raises:
        BadRequestError: The item lacks a field, or the gateway wrote its thought and it was changed since.
    """
    if item.type in ("function_call", "custom_tool_call"):
        if item.call_id is None or item.name is None:
            raise BadRequestError(f"a {item.type} needs a call_id and a name", param=where)
        is_custom = item.type == "custom_tool_call"
        arguments = custom_arguments(item.input or "") if is_custom else arguments_text(item.arguments)
        return ToolCallPart(item.call_id, namespaced(item.namespace, item.name), arguments)
    if item.type == "apply_patch_call":
        if item.call_id is None or item.operation is None:
            raise BadRequestError("an apply_patch_call needs a call_id and an operation", param=where)
        return ToolCallPart(item.call_id, APPLY_PATCH, msgspec.json.encode(item.operation).decode())
    if item.type in RESULTS:
        if item.call_id is None:
            raise BadRequestError(f"a {item.type} needs a call_id", param=where)
        return ToolResultPart(
            item.call_id, parts_of_content(item.output, f"{where}.output"), is_error=item.status == "failed"
        )
    text = "".join(piece.text or "" for piece in item.summary or ())
    if item.encrypted_content is None:
        return ReasoningPart(text)
    carried = carried_by(item.encrypted_content, OPENAI, f"{where}.encrypted_content")
    if carried.kind == "call":
        return carried
    if carried.kind == "hidden":
        return ReasoningPart(text, encrypted=carried.data, vendor=carried.vendor)
    return ReasoningPart(text, carried.data, vendor=carried.vendor)


def _part(piece: Content, where: str) -> TextPart | MediaPart:
    if piece.type == "input_image" and piece.image_url is not None:
        return MediaPart("image", *media_of_url(piece.image_url, f"{where}.image_url"), detail=piece.detail)
    if piece.type == "input_file" and (url := piece.file_data or piece.file_url) is not None:
        return MediaPart("document", *media_of_url(url, f"{where}.file_data"), name=piece.filename)
    text: Any = piece.text if piece.text is not None else piece.refusal
    if text is None:
        raise BadRequestError(f"content of type {piece.type!r} cannot be carried to other providers", param=where)
    return TextPart(text)
