"""The answers that carry a provider's bytes: the fields that the gateway vouches for.

The provider's other fields travel on as they came. Only the OpenAPI document reads these types.
"""

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from serve.proxy.explanation import Explanation

Json = dict[str, Any]


class CostDetails(Struct):
    """The parts of the cost, USD."""

    prompt_cost: float
    completion_cost: float
    request_cost: float
    is_estimated: bool


class Costed(Struct, kw_only=True):
    """The fields that every `usage` has besides the tokens: what the owner of the provider key pays, USD."""

    cost: float
    cost_details: CostDetails


class ChatUsage(Costed, kw_only=True):
    """Tokens and cost, in OpenAI's words."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class VectorUsage(Costed, kw_only=True):
    """Tokens and cost of vectors."""

    prompt_tokens: int
    total_tokens: int


class CountedUsage(Costed, kw_only=True):
    """Tokens and cost, in the words of Anthropic and of Responses."""

    input_tokens: int | None = None
    output_tokens: int | None = None


class Explained(Struct, kw_only=True):
    """The explanation, in the answer to a request that asked for it."""

    llmdeal: Explanation | UnsetType = UNSET


class ChatAnswer(Explained, kw_only=True):
    """A chat completion."""

    choices: list[Json]
    usage: ChatUsage


class TextAnswer(Explained, kw_only=True):
    """A completed text."""

    choices: list[Json]
    usage: ChatUsage


class VectorsAnswer(Explained, kw_only=True):
    """Vectors."""

    data: list[Json]
    usage: VectorUsage


class MessageAnswer(Explained, kw_only=True):
    """A message in Anthropic's dialect."""

    content: list[Json]
    stop_reason: str | None
    usage: CountedUsage


class ResponseAnswer(Explained, kw_only=True):
    """A response in the dialect of Responses."""

    output: list[Json]
    status: str
    usage: CountedUsage


class StreamEvent(Struct):
    """One event of a stream: `data` is JSON or `[DONE]`; `event` is there if the dialect names its events."""

    data: str
    event: str | UnsetType = UNSET
