"""A lane: one way to answer a request: a provider, an upstream model, an effort, an account, a region and a price."""

from dataclasses import dataclass
from datetime import date
from enum import IntFlag
from typing import Final, Literal, get_args

from router.placement import Placement
from router.price_table import Price

Region = Literal["eu", "us", "global", "local"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How much a model is to reason, from not at all to the most."""
EFFORTS: Final[tuple[Effort, ...]] = get_args(Effort)
"""Every effort that a request can name, the least first."""
Choice = Literal["always", "if_known", "never"]
"""Whether a policy may choose a lane that the caller did not name: always, if the bundle knows its model, or never."""


class Capability(IntFlag):
    """What a lane can do. A capability that a lane does not declare counts as absent."""

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
    """Speaks OpenAI's chat completions itself; needed for fields that no other dialect has."""
    MESSAGES_DIALECT = 1_024
    """Speaks Anthropic's Messages itself; needed for fields that no other dialect has."""
    CLAUDE_THOUGHTS = 2_048
    """Reads reasoning that Claude signed or encrypted; conversations that carry it need such a lane."""
    GEMINI_THOUGHTS = 4_096
    """Reads reasoning that Gemini signed."""
    OPENAI_THOUGHTS = 8_192
    """Reads reasoning that OpenAI encrypted."""
    MEDIA_URLS = 16_384
    """Fetches images and documents from URLs itself."""
    RESPONSES_DIALECT = 32_768
    """Speaks OpenAI's Responses itself; needed for fields that no other dialect has."""


@dataclass(frozen=True, slots=True)
class QualityPrior:
    """The belief about an upstream model that the quality model was not trained on.

    Args:
        ability: Ability on the logit scale of the bundle's difficulty output: P(good) = sigmoid(ability - difficulty).
        ability_std: Standard deviation of that belief, same scale.
        source: Origin of the belief, with its date.
        placement: Placement by its own graded answers, for the loaded bundle; replaces the ability. None: it has no
            graded answers.
        general, general_std: The same belief on the scale of the bundle's catalogue models, where 0 is an average open
            model of 8 billion parameters of 2025 and 1 are the strongest models at the end of 2026; None: it is read
            off the ability.
    """

    ability: float
    ability_std: float
    source: str
    placement: Placement | None = None
    general: float | None = None
    general_std: float | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """One way to answer.

    Args:
        lane_id: Unique, readable id: `groq/llama-3.3-70b-versatile`, with `@account` when a provider has several
            accounts, and with `:effort` at the end when the lane sets an effort.
        provider: Host of the model: the id of a row in data/providers.
        upstream_model: Id of the model that is sent to the provider.
        vendor_model: Vendor and model, independent of the host: `meta-llama/llama-3.3-70b-instruct`.
        account: Pool that the provider's limits belong to; cool-downs are per account.
        price: Price at this provider, in this region.
        capabilities: Capabilities that it declares.
        context_tokens: Longest prompt plus answer, in tokens; None: unknown.
        max_output_tokens: Longest answer, in tokens; None: unknown.
        region: Region in which inference runs; None: unknown, which no region constraint accepts.
        trains_on_data: Whether the provider trains on what is sent; None: unknown, which counts as yes.
        retains_data: Whether the provider keeps what is sent; None: unknown, which counts as yes.
        trained_name: Name of the model in the bundle; None: its answers were not graded there.
        prior: Belief that is used when `trained_name` is None or not in the loaded bundle.
        refused_parameters: Parameters that this lane answers with an error, so that they are never sent to it.
        typical_ttft_ms: Time to first token before any was measured; None: unknown.
        typical_tokens_per_s: Output speed before any was measured; None: unknown.
        is_reserve: Whether it is asked only when no other lane can answer.
        effort: Effort of reasoning that it sets when the request states none; None: the provider's default.
        lost_by_effort: Capabilities that the model lacks while it reasons at this effort. They count only when the
            lane sets the effort: a request that states it itself is sent as it is.
        choice: Whether a policy may choose it when the caller names no lane.
        is_alternate: Whether it is another id of a model that the same account has under its usual id, such as a dated
            snapshot or a free variant. It is reached by its own id only, not by the name of the model.
        deprecated_on: Day on which the provider retires it, or retired it; None: none is known.
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
    effort: Effort | None = None
    lost_by_effort: Capability = Capability.NONE
    choice: Choice = "always"
    is_alternate: bool = False
    deprecated_on: date | None = None

    @property
    def base_id(self) -> str:
        """Id of the same lane at the provider's default effort."""
        return self.lane_id if self.effort is None else self.lane_id.removesuffix(f":{self.effort}")
