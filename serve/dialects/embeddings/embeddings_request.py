"""An embeddings request, validated once at the door. Unknown fields are passed on unchanged."""

from typing import Annotated

from msgspec import Meta

from router.context import MAX_PROMPT_CHARACTERS, RouteContext
from router.text_window import cut_to_window, estimate_tokens
from serve.dialects.embeddings import NAME
from serve.dialects.inquiry import Body, Inquiry
from serve.dialects.json_body import decode_body, typed
from serve.dialects.neutral.request import NeutralRequest
from serve.dialects.routing_fields import RoutingFields
from serve.errors import BadRequestError, TooLargeError

_SMART_ROUTE = "smart-route"
Tokens = list[int]


class EmbeddingsRequest(RoutingFields, kw_only=True):
    """The fields of an embeddings request that routing needs. The input is texts, or tokens made by the caller."""

    input: (
        Annotated[str, Meta(min_length=1)]
        | Annotated[list[str | int | Annotated[Tokens, Meta(min_length=1)]], Meta(min_length=1, max_length=2_048)]
    )


def read_embeddings_request(raw: bytes) -> Inquiry:
    """Read an embeddings request.

    Raises:
        BadRequestError: A field is wrong, or the request leaves the model open. The error names the field.
        TooLargeError: The input has more than `MAX_PROMPT_CHARACTERS` characters.
    """
    body = decode_body(raw)
    request = typed(body, EmbeddingsRequest)
    if request.model.partition(":")[0] == _SMART_ROUTE:
        raise BadRequestError(
            "vectors of different models cannot be compared: name one; GET /v1/models lists them", param="model"
        )
    if request.models:
        raise BadRequestError("vectors of different models cannot be compared: leave 'models' out", param="models")
    pieces = [request.input] if isinstance(request.input, str) else request.input
    text = "\n".join(piece for piece in pieces if isinstance(piece, str))
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise TooLargeError(
            f"the input has {len(text):,} characters; the limit is {MAX_PROMPT_CHARACTERS:,}. Send several requests.",
            param="input",
        )
    n_tokens = sum(1 if isinstance(piece, int) else len(piece) for piece in pieces if not isinstance(piece, str))
    context = RouteContext(cut_to_window(text), len(text), estimate_tokens(len(text)) + n_tokens, len(pieces))
    return Inquiry(NAME, request, body, context, text[:200], False, _no_other_dialect)


def _no_other_dialect(body: Body) -> NeutralRequest:
    raise BadRequestError("embeddings cannot be translated into another dialect")
