"""The OpenAPI document.

FastAPI does not see the hot endpoints. So their part of the document is made here, from the types that they read and
send.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from fastapi import FastAPI
from msgspec import Struct

from serve.dialects.anthropic.messages_request import CountTokensRequest, MessagesRequest
from serve.dialects.completions.completions_request import CompletionsRequest
from serve.dialects.embeddings.embeddings_request import EmbeddingsRequest
from serve.dialects.openai.chat_request import ChatRequest
from serve.dialects.responses.responses_request import ResponsesRequest
from serve.http.count_tokens import CountAnswer, InputTokensAnswer
from serve.http.error_envelope import ErrorAnswer, MessagesErrorAnswer
from serve.http.feedback import FeedbackAnswer
from serve.http.health import ReadyAnswer
from serve.http.models import ModelsAnswer, OfferedModel
from serve.http.openapi_answers import (
    ChatAnswer,
    MessageAnswer,
    ResponseAnswer,
    StreamEvent,
    TextAnswer,
    VectorsAnswer,
)
from serve.http.openapi_responses import ERRORS, SCHEMA_ADDRESS, Json, answered_with, schema_reference
from serve.proxy.explanation import RouteAnswer

_DECIDED_ONLY = frozenset({"400", "401", "403", "404", "413", "429", "500", "503"})
_SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A virtual key, `ll_live_…`."},
    "x-api-key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same key, as Anthropic's SDKs send it.",
    },
}
_PARAMETERS: list[Json] = [
    {"name": name, "in": "header", "required": False, "description": text, "schema": schema}
    for name, text, schema in (
        ("x-llmdeal-region", "The same as `route.region`.", {"type": "string", "enum": ["eu", "us"]}),
        ("x-llmdeal-explain", "`1`: the answer explains the decision.", {"type": "string"}),
        ("x-llmdeal-tags", "Tags for the log, at most 32, separated by commas.", {"type": "string"}),
        ("x-session-id", "Name of the conversation; its first 256 characters count.", {"type": "string"}),
    )
]
_IDEMPOTENCY_KEY: Json = {
    "name": "idempotency-key",
    "in": "header",
    "required": False,
    "description": "A fresh key for each request. A request sent again with its key is answered and charged once.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_REPLAYED: Json = {
    "description": "`true`: this is an earlier answer, given again.",
    "schema": {"type": "string", "const": "true"},
}
_ALWAYS_HEADERS = {"request-id": "Id of the request, for feedback and the log.", "lane": "Lane that answered."}
_ANSWER_HEADERS = _ALWAYS_HEADERS | {
    "provider": "Provider that hosts the lane.",
    "model": "Vendor and model.",
    "reason": "Reason for this lane, in one word.",
    "attempts": "Number of upstream calls.",
    "overhead-ms": "Time of the gateway itself, without the provider's, milliseconds.",
    "router-version": "Version of the quality model that decided.",
}


@dataclass(frozen=True, slots=True)
class _HotEndpoint:
    """The description of a hot endpoint. The request type has the fields that the gateway reads; others travel on."""

    summary: str
    request: type[Struct]
    answer: type[Struct]
    envelope: type[Struct] = ErrorAnswer
    can_stream: bool = False
    errors: frozenset[str] = frozenset(ERRORS)
    headers: tuple[str, ...] = tuple(_ANSWER_HEADERS)


HOT_ENDPOINTS = {
    "/v1/chat/completions": _HotEndpoint(
        "Answer a chat, streamed or not, on the best lane", ChatRequest, ChatAnswer, can_stream=True
    ),
    "/v1/completions": _HotEndpoint(
        "Complete a text, streamed or not, by a chat", CompletionsRequest, TextAnswer, can_stream=True
    ),
    "/v1/embeddings": _HotEndpoint("Make vectors with the named model", EmbeddingsRequest, VectorsAnswer),
    "/v1/responses": _HotEndpoint(
        "Answer in the dialect of Responses, stateless", ResponsesRequest, ResponseAnswer, can_stream=True
    ),
    "/v1/messages": _HotEndpoint(
        "Answer in Anthropic's dialect", MessagesRequest, MessageAnswer, MessagesErrorAnswer, can_stream=True
    ),
    "/v1/messages/count_tokens": _HotEndpoint(
        "Count the tokens of a request",
        CountTokensRequest,
        CountAnswer,
        MessagesErrorAnswer,
        errors=_DECIDED_ONLY,
        headers=(*_ALWAYS_HEADERS, "token-count"),
    ),
    "/v1/responses/input_tokens": _HotEndpoint(
        "Count the tokens of a request of Responses",
        ResponsesRequest,
        InputTokensAnswer,
        errors=_DECIDED_ONLY,
        headers=(*_ALWAYS_HEADERS, "token-count"),
    ),
    "/v1/route": _HotEndpoint(
        "Decide only: every lane with its expected quality, cost and latency, and the chosen one",
        ChatRequest,
        RouteAnswer,
        errors=_DECIDED_ONLY,
        headers=(*_ALWAYS_HEADERS, "reason"),
    ),
}


def describe_endpoints(app: FastAPI, *, needs_virtual_key: bool) -> None:
    """Complete the document of `app`.

    Args:
        app: Application with its ordinary endpoints.
        needs_virtual_key: Whether a virtual key is configured; without one, requests need no key.
    """
    generate = app.openapi

    def openapi() -> Json:
        document = generate()
        if "/v1/chat/completions" not in document["paths"]:
            _drop_unprocessable(document)
            document["paths"] |= {
                path: {"post": _operation(path, endpoint)} for path, endpoint in HOT_ENDPOINTS.items()
            }
            _add_components(document)
            if needs_virtual_key:
                _add_security(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema


def _operation(path: str, endpoint: _HotEndpoint) -> Json:
    answered = answered_with(
        endpoint.answer, "JSON; with `stream: true` server-sent events." if endpoint.can_stream else "JSON."
    )
    if endpoint.can_stream:
        answered["content"]["text/event-stream"] = {"itemSchema": schema_reference(StreamEvent)}
    answered["headers"] = {f"x-llmdeal-{name}": _header(name) for name in endpoint.headers}
    errors = {
        status: answered_with(endpoint.envelope, text) for status, text in ERRORS.items() if status in endpoint.errors
    }
    is_idempotent = "409" in endpoint.errors
    if is_idempotent:
        answered["headers"]["idempotent-replayed"] = _REPLAYED
    return {
        "summary": endpoint.summary,
        "operationId": path.removeprefix("/v1/").replace("/", "_"),
        "parameters": [*_PARAMETERS, _IDEMPOTENCY_KEY] if is_idempotent else _PARAMETERS,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema_reference(endpoint.request)}},
        },
        "responses": {"200": answered, **errors},
    }


def _header(name: str) -> Json:
    text = _ANSWER_HEADERS.get(name, "`exact`: the lane counted; `estimated`: the gateway did.")
    return {"description": text, "required": True, "schema": {"type": "string"}}


def _add_components(document: Json) -> None:
    described = [shape for each in HOT_ENDPOINTS.values() for shape in (each.request, each.answer, each.envelope)]
    shapes = dict.fromkeys([*described, ModelsAnswer, OfferedModel, FeedbackAnswer, ReadyAnswer, StreamEvent])
    _, components = msgspec.json.schema_components(shapes, ref_template=SCHEMA_ADDRESS)
    document.setdefault("components", {}).setdefault("schemas", {}).update(components)


def _drop_unprocessable(document: Json) -> None:
    """Take out the 422 that FastAPI describes for its own endpoints, because they never send it."""
    for _, operation in _operations(document):
        operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _add_security(document: Json) -> None:
    document["components"]["securitySchemes"] = _SECURITY_SCHEMES
    for path, operation in _operations(document):
        if path.startswith("/v1/"):
            operation["security"] = [{name: []} for name in _SECURITY_SCHEMES]


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation
