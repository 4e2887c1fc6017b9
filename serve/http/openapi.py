"""The hot endpoints in the OpenAPI document: FastAPI does not see them, so their schemas come from their own types."""

from typing import Any

import msgspec
from fastapi import FastAPI

from serve.dialects.anthropic.messages_request import CountTokensRequest, MessagesRequest
from serve.dialects.embeddings.embeddings_request import EmbeddingsRequest
from serve.dialects.openai.chat_request import ChatRequest
from serve.dialects.responses.responses_request import ResponsesRequest

_REF = "#/components/schemas/{name}"
_ERRORS = {
    "400": "The request is wrong; `param` names the field.",
    "401": "No valid virtual key.",
    "404": "No lane is called that.",
    "502": "Every attempted lane failed; lists them.",
    "503": "No lane meets the constraints; says which removed which.",
}


def describe_hot_paths(app: FastAPI) -> None:
    """Add the hot endpoints to the document of `app`."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        if "/v1/chat/completions" not in document["paths"]:
            _, components = msgspec.json.schema_components(
                (ChatRequest, EmbeddingsRequest, ResponsesRequest, MessagesRequest, CountTokensRequest), ref_template=_REF
            )
            document.setdefault("components", {}).setdefault("schemas", {}).update(components)
            document["paths"]["/v1/chat/completions"] = _post("Answer a chat, streamed or not, on the lane that wins")
            document["paths"]["/v1/embeddings"] = _post("Make vectors with the model named", "EmbeddingsRequest")
            document["paths"]["/v1/responses"] = _post("The same in the dialect of Responses, stateless", "ResponsesRequest")
            document["paths"]["/v1/messages"] = _post("The same in Anthropic's dialect", "MessagesRequest")
            document["paths"]["/v1/messages/count_tokens"] = _post("Count the tokens of a request", "CountTokensRequest")
            document["paths"]["/v1/route"] = _post("Decide only: every lane with what is expected of it, and which one wins")
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema


def _post(summary: str, request: str = "ChatRequest") -> dict[str, Any]:
    schema = {"$ref": _REF.format(name=request)}
    responses = {"200": {"description": "JSON, or server-sent events with `stream: true`."}}
    responses.update({status: {"description": text} for status, text in _ERRORS.items()})
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": responses,
        }
    }
