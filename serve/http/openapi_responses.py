"""The description of one response in the OpenAPI document."""

from typing import Any, Final

from msgspec import Struct

from serve.http.error_envelope import ErrorAnswer

Json = dict[str, Any]

SCHEMA_ADDRESS: Final = "#/components/schemas/{name}"
ERRORS: Final = {
    "400": "The request is wrong; `param` names the field.",
    "401": "No valid virtual key.",
    "403": "The virtual key, or your role, may not do this.",
    "404": "There is nothing with that name.",
    "409": "A request with this idempotency key is being answered.",
    "410": "A request with this idempotency key was answered, and the answer was not kept.",
    "413": "The body or its text is too large.",
    "422": "The idempotency key was used for another request.",
    "429": "The virtual key has reached its limit for this minute.",
    "4XX": "The provider says that the request is wrong. Status and message are the provider's.",
    "500": "A defect of ours; it was logged.",
    "502": "Every attempted lane failed; the error lists them.",
    "503": "No lane meets the constraints (the error lists them), or all lanes rest.",
    "504": "Every attempted lane timed out.",
}
"""HTTP status -> its meaning."""


def answered_with(answer: type[Struct], description: str = "As asked.") -> Json:
    """Return the description of a response that holds such an answer."""
    return {"description": description, "content": {"application/json": {"schema": schema_reference(answer)}}}


def error_answers(*statuses: int) -> dict[int | str, Json]:
    """Return the descriptions of the errors of an ordinary FastAPI endpoint."""
    return {status: answered_with(ErrorAnswer, ERRORS[str(status)]) for status in statuses}


def schema_reference(schema: type[Struct]) -> Json:
    """Return a reference to the schema of a type."""
    return {"$ref": SCHEMA_ADDRESS.format(name=schema.__name__)}
