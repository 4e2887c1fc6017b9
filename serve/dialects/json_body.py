"""Reading callers' JSON bodies once, with errors that name the field."""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from serve.dialects.inquiry import Body
from serve.errors import BadRequestError

Typed = TypeVar("Typed")
PositiveInt = Annotated[int, Meta(ge=1, le=2**53 - 1)]
"""A count up to the largest integer on which all readers of JSON agree (RFC 8259, 6)."""


def decode_body(raw: bytes) -> Body:
    """Return the JSON object in `raw`.

    Raises:
        BadRequestError: The body is not JSON, or not an object.
    """
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"the body is not valid JSON: {error}", code="invalid_json") from None
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object", code="invalid_json")
    return body


def typed(body: Body, view: type[Typed]) -> Typed:
    """Return a typed view of a body.

    Raises:
        BadRequestError: A field is missing, of the wrong type or out of range; the error names it.
    """
    try:
        return msgspec.convert(body, view)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        param = path.rstrip("`").lstrip(".") or _missing_field(text)
        raise BadRequestError(f"{text} (in {param or 'the body'})", param=param) from None


def _missing_field(text: str) -> str | None:
    return text.rpartition("field `")[2].rstrip("`") if "required field" in text else None
