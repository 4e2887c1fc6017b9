"""An OpenAI chat request, validated once at the door and typed after that. Fields we do not know travel on untouched."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from serve.errors import BadRequestError

Body = dict[str, Any]
"""A JSON object as it came: kept beside the typed view, because providers know fields that we do not."""

NonNegative = Annotated[float, Meta(ge=0)]
TokenLimit = Annotated[int, Meta(ge=1)]


class ContentPart(Struct):
    """One part of a message: text, an image, audio, a file. Only what routing looks at is typed."""

    type: str = "text"
    text: str | None = None


class Message(Struct):
    """One message of the conversation."""

    role: str
    content: str | list[ContentPart] | None = None
    tool_calls: list[Any] | None = None


class ResponseFormat(Struct):
    """`response_format`: text, json_object or json_schema."""

    type: str


class MaxPrice(Struct, forbid_unknown_fields=True):
    """OpenRouter's `provider.max_price`: USD per million tokens, and USD per request."""

    prompt: NonNegative | None = None
    completion: NonNegative | None = None
    request: NonNegative | None = None


class ProviderPreferences(Struct):
    """OpenRouter's `provider` object."""

    order: list[str] = []
    only: list[str] = []
    ignore: list[str] = []
    allow_fallbacks: bool = True
    require_parameters: bool = False
    data_collection: Literal["allow", "deny"] = "allow"
    zdr: bool = False
    sort: Literal["price", "throughput", "latency"] | None = None
    max_price: MaxPrice | None = None
    preferred_max_latency: NonNegative | None = None
    preferred_min_throughput: NonNegative | None = None


class RouteOptions(Struct, forbid_unknown_fields=True):
    """Our `route` object: the bar and the trade-off of this request.

    `quality` is P(good answer), 0..1; `quality_of_best` a share of the best lane's mean quality, 0..1; `willingness_to_pay` and `max_cost` are USD; `max_latency_ms` is to the whole answer.
    """

    quality: Annotated[float, Meta(ge=0, le=1)] | None = None
    quality_of_best: Annotated[float, Meta(ge=0, le=1)] | None = None
    willingness_to_pay: Annotated[float, Meta(ge=0, le=1_000)] | None = None
    max_cost: NonNegative | None = None
    max_latency_ms: NonNegative | None = None
    region: Literal["eu", "us"] | None = None
    explain: bool = False


class StreamOptions(Struct):
    """`stream_options`."""

    include_usage: bool = False


class ChatRequest(Struct):
    """What routing needs of a chat completion request."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    reasoning_effort: str | None = None
    reasoning: Any | UnsetType = UNSET
    models: list[str] | None = None
    provider: ProviderPreferences | None = None
    route: RouteOptions | None = None
    session_id: Annotated[str, Meta(max_length=256)] | None = None
    prompt_cache_key: str | None = None


OUR_FIELDS = ("models", "provider", "route", "session_id")
"""Fields that are meant for us and never travel upstream."""


def parse_chat_request(raw: bytes) -> tuple[ChatRequest, Body]:
    """Return the typed view of a request and the body it came from; the bytes are parsed once.

    Raises:
        BadRequestError: Not JSON, not an object, or a field of the wrong type or out of range; names the field.
    """
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"the body is not valid JSON: {error}", code="invalid_json") from None
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object", code="invalid_json")
    try:
        return msgspec.convert(body, ChatRequest), body
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        param = path.rstrip("`").lstrip(".") or _missing_field(text)
        raise BadRequestError(f"{text} (in {param or 'the body'})", param=param) from None


def _missing_field(text: str) -> str | None:
    return text.rpartition("field `")[2].rstrip("`") if "required field" in text else None
