"""What the readers of several dialects' requests have in common."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from serve.dialects.neutral.parts import Part, TextPart, ToolCallPart
from serve.dialects.neutral.request import OutputFormat
from serve.errors import BadRequestError

NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
"""JSON schema of a tool that takes nothing."""


def plain_parts(text: str | None) -> tuple[TextPart, ...]:
    """Return content that is only text; empty text is left out."""
    return (TextPart(text),) if text else ()


def with_signature(part: Part, signatures: Mapping[str | None, str]) -> Part:
    """Return a part with its signature, if it is a tool call that `signatures` (call id -> signature) has one for."""
    if isinstance(part, ToolCallPart) and part.call_id in signatures:
        return replace(part, signature=signatures[part.call_id])
    return part


def read_output_format(
    kind: Literal["text", "json_object", "json_schema"],
    schema: Mapping[str, Any] | None,
    name: str,
    is_strict: bool | None,
    *,
    schema_field: str,
) -> OutputFormat | None:
    """Return the wanted output format, as both of OpenAI's dialects write it. None: free text.

    Args:
        kind: Type of the format.
        schema: JSON schema of the answer.
        name: Name of the schema.
        is_strict: Whether the answer must fit the schema.
        schema_field: Name of the request's field with the schema, for the error.

    Raises:
        BadRequestError: A schema is wanted, and there is none.
    """
    if kind == "text":
        return None
    if kind == "json_object":
        return OutputFormat(None)
    if schema is None:
        raise BadRequestError("json_schema needs a schema", param=schema_field)
    return OutputFormat(schema, name, is_strict)
