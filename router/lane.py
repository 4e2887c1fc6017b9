"""A lane: one way to answer a request. Provider, upstream model, account and region, with what it can do and what it costs."""

from dataclasses import dataclass
from enum import IntFlag
from typing import Literal

from router.placement import Placement
from router.price_table import Price

Region = Literal["eu", "us", "global", "local"]


class Capability(IntFlag):
    """What a lane can do; a lane that does not declare a capability counts as not having it."""

    NONE = 0
    TOOLS = 1
    IMAGES = 2
    JSON_OBJECT = 4
    JSON_SCHEMA = 8
    REASONING = 16
    LOGPROBS = 32
    MULTIPLE_CHOICES = 64
    """More than one choice per request (`n` > 1)."""
    AUDIO = 128
    DOCUMENTS = 256
    """PDF files as input."""
    CHAT_DIALECT = 512
    """Speaks OpenAI's chat completions itself: for what no other dialect has."""
    MESSAGES_DIALECT = 1_024
    """Speaks Anthropic's Messages itself: for what no other dialect has."""
    CLAUDE_THOUGHTS = 2_048
    """Reads thoughts that Claude signed or encrypted: conversations that carry them cannot go on elsewhere."""
    GEMINI_THOUGHTS = 4_096
    """Reads thoughts that Gemini signed."""
    OPENAI_THOUGHTS = 8_192
    """Reads thoughts that OpenAI encrypted."""
    MEDIA_URLS = 16_384
    """Fetches images and documents from URLs itself."""
    RESPONSES_DIALECT = 32_768
    """Speaks OpenAI's Responses itself: for what no other dialect has."""


@dataclass(frozen=True, slots=True)
class QualityPrior:
    """What is believed of an upstream model that the quality model was not trained on.

    Args:
        ability: On the logit scale of the bundle's difficulty output: P(good) = sigmoid(ability - difficulty).
        ability_std: Standard deviation of that belief, same scale.
        source: Where the belief comes from, with its date.
        placement: What its own graded answers say, in terms of the loaded bundle; takes the place of ability. None: it has none.
    """

    ability: float
    ability_std: float
    source: str
    placement: Placement | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """One way to answer.

    Args:
        lane_id: Unique and readable: `groq/llama-3.3-70b-versatile`, with `@account` where one provider has several accounts.
        provider: Who hosts: the id of a row in data/providers.
        upstream_model: The id sent on the wire.
        vendor_model: Who made it and what it is, whoever hosts it: `meta-llama/llama-3.3-70b-instruct`.
        account: The pool that the provider's limits belong to; cool-downs are per account.
        price: At this provider, in this region.
        capabilities: What it can do.
        context_tokens: Longest prompt plus answer, in tokens; None: unknown.
        max_output_tokens: Longest answer, in tokens; None: unknown.
        region: Where inference runs; None: unknown, which no region constraint accepts.
        trains_on_data: Whether the provider trains on what is sent; None: unknown, which counts as yes.
        retains_data: Whether the provider keeps what is sent; None: unknown, which counts as yes.
        trained_name: Name of the model in the bundle when its answers were graded there, else None.
        prior: Used where `trained_name` is None or not in the loaded bundle.
        refused_parameters: Of a request, which this lane answers with an error, so that they are never sent to it.
        typical_ttft_ms: Time to first token before any was measured; None: unknown.
        typical_tokens_per_s: Output speed before any was measured; None: unknown.
        is_reserve: Asked only when no lane that is not a reserve can answer.
    """

    lane_id: str
    provider: str
    upstream_model: str
    vendor_model: str
    account: str
    price: Price
    capabilities: Capability = Capability.NONE
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    region: Region | None = None
    trains_on_data: bool | None = None
    retains_data: bool | None = None
    trained_name: str | None = None
    prior: QualityPrior | None = None
    refused_parameters: frozenset[str] = frozenset()
    typical_ttft_ms: float | None = None
    typical_tokens_per_s: float | None = None
    is_reserve: bool = False
