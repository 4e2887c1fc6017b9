"""A Responses request, validated once at the door. Only the fields that routing needs are typed."""

from typing import Annotated

from msgspec import Meta, Struct

from router.effort import OTHER_EFFORT, named_effort
from router.lane import Capability
from serve.dialects.carried_thoughts import OPENAI, capability_to_read
from serve.dialects.field_needs import FieldNeeds
from serve.dialects.field_table import fields_of
from serve.dialects.inquiry import Inquiry
from serve.dialects.json_body import PositiveInt, decode_body, typed
from serve.dialects.responses import NAME
from serve.dialects.responses.items import RESULTS, Content, Item
from serve.dialects.responses.request_reader import read_request
from serve.dialects.routing_fields import RoutingFields
from serve.dialects.seen_conversation import SeenConversation

_QUIET_EFFORTS = frozenset({None, "none", "minimal", "medium"})
"""Efforts that need no model that reasons: none, hardly any, and what OpenAI's models do when nothing is said."""


class _Tool(Struct):
    type: str = "function"


class _Reasoning(Struct):
    effort: str | None = None


class _Format(Struct):
    type: str


class _Text(Struct):
    format: _Format | None = None


class ResponsesRequest(RoutingFields, kw_only=True):
    """The fields of a Responses request that routing needs."""

    input: str | Annotated[list[Item], Meta(min_length=1)]
    instructions: str | None = None
    tools: list[_Tool] | None = None
    max_output_tokens: PositiveInt | None = None
    reasoning: _Reasoning | None = None
    text: _Text | None = None
    stream: bool | None = None
    prompt_cache_key: str | None = None


def read_responses_request(raw: bytes) -> Inquiry:
    """Read a Responses request.

    Raises:
        BadRequestError: A field is wrong, or needs state that a provider keeps; the error names it.
        TooLargeError: The text has more than `MAX_PROMPT_CHARACTERS` characters.
    """
    body = decode_body(raw)
    request = typed(body, ResponsesRequest)
    fields = fields_of(NAME)
    demanded = body.get("tool_choice")
    needs = fields.needs(
        body,
        [tool.type for tool in request.tools or ()],
        demanded.get("type") if isinstance(demanded, dict) else None,
    )
    seen = _Seen(fields.carried_parts)
    seen.texts += [request.instructions] if request.instructions else []
    items = [Item(role="user", content=request.input)] if isinstance(request.input, str) else request.input
    seen.look_at(items[0])
    opening = request.prompt_cache_key or seen.text()
    for item in items[1:]:
        seen.look_at(item)
    seen.other_characters += len(str(body["tools"])) if request.tools else 0
    seen.required = _required(request, needs, seen.required)
    seen.dialect_fields = needs.binding
    if request.reasoning is not None:
        seen.effort = named_effort(request.reasoning.effort) or OTHER_EFFORT
    context = seen.context("input", len(items), request.max_output_tokens, body)
    return Inquiry(NAME, request, body, context, opening, bool(request.stream), read_request, needs)


class _Seen(SeenConversation):
    def __init__(self, carried_parts: frozenset[str]) -> None:
        super().__init__()
        self._carried_parts = carried_parts

    def look_at(self, item: Item) -> None:
        """Add an item."""
        if item.type not in self._carried_parts:
            self.required |= Capability.RESPONSES_DIALECT
        self.n_results += item.type in RESULTS
        self.other_characters += len(str(item.arguments or item.input or ""))
        for content in (item.content, item.output):
            if isinstance(content, str):
                self.texts.append(content)
            for piece in content if isinstance(content, list) else ():
                self._look_at_piece(piece)
        if item.type == "reasoning" and item.encrypted_content:
            self.required |= capability_to_read(item.encrypted_content, OPENAI, "input")

    def _look_at_piece(self, piece: Content) -> None:
        if piece.text:
            self.texts.append(piece.text)
        url = piece.image_url or piece.file_url
        if url and not url.startswith("data:"):
            self.required |= Capability.MEDIA_URLS
        if piece.type == "input_image":
            self.n_images += 1
            self.required |= Capability.IMAGES
        elif piece.type == "input_file":
            self.required |= Capability.DOCUMENTS
        if piece.type not in self._carried_parts or piece.file_id is not None:
            self.required |= Capability.RESPONSES_DIALECT


def _required(request: ResponsesRequest, needs: FieldNeeds, required: Capability) -> Capability:
    if needs.binding:
        required |= Capability.RESPONSES_DIALECT
    if request.tools:
        required |= Capability.TOOLS
    if request.reasoning is not None and request.reasoning.effort not in _QUIET_EFFORTS:
        required |= Capability.REASONING
    wanted = request.text.format.type if request.text and request.text.format else None
    if wanted == "json_schema":
        required |= Capability.JSON_SCHEMA
    elif wanted == "json_object":
        required |= Capability.JSON_OBJECT
    return required
