"""An OpenAI chat request, validated once at the door and typed after that. Unknown fields are passed on unchanged."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from serve.dialects.inquiry import Body
from serve.dialects.json_body import PositiveInt, decode_body, typed
from serve.dialects.openai.reasoning_details import ReasoningDetail
from serve.dialects.routing_fields import RoutingFields


class FileReference(Struct):
    """The `file` of a content part."""

    file_id: str | None = None


class ImageReference(Struct):
    """The `image_url` of a content part."""

    url: str | None = None


class ContentPart(Struct):
    """One part of a message: text, an image, audio, a file. Only the fields that routing needs are typed."""

    type: str = "text"
    text: str | None = None
    file: FileReference | None = None
    image_url: ImageReference | str | None = None


class GoogleExtra(Struct):
    """`extra_content.google` of a tool call."""

    thought_signature: str | None = None


class ExtraContent(Struct):
    """`extra_content` of a tool call. Google's own OpenAI-compatible endpoint has signatures in it."""

    google: GoogleExtra | None = None


class CalledTool(Struct):
    """One of `tool_calls`."""

    extra_content: ExtraContent | None = None


class Message(Struct):
    """One message of the conversation."""

    role: str
    content: str | list[ContentPart] | None = None
    tool_calls: list[CalledTool] | None = None
    reasoning_details: list[ReasoningDetail] | None = None


class OfferedTool(Struct):
    """One of `tools`."""

    type: str = "function"


class ResponseFormat(Struct):
    """`response_format`: text, json_object or json_schema."""

    type: str


class StreamOptions(Struct):
    """`stream_options`."""

    include_usage: bool = False


class ChatRequest(RoutingFields, kw_only=True):
    """The fields of a chat completion request that routing needs."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: PositiveInt | None = None
    max_completion_tokens: PositiveInt | None = None
    n: PositiveInt | None = None
    tools: list[OfferedTool] | None = None
    functions: list[Any] | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    reasoning_effort: str | None = None
    reasoning: Any | UnsetType = UNSET
    prompt_cache_key: str | None = None


def parse_chat_request(raw: bytes) -> tuple[ChatRequest, Body]:
    """Return the typed view of a request, and its body; the bytes are parsed once.

    Raises:
        BadRequestError: The body is not a JSON object, or a field has the wrong type or is out of range. The error
            names the field.
    """
    body = decode_body(raw)
    return typed(body, ChatRequest), body
