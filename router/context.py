"""What the decision sees of one request: its text, its size and the caller's wishes. Never a raw key or header."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from router.errors import TextError
from router.lane import Capability, Region

MAX_PROMPT_CHARACTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class RouteContext:
    """The request as the quality model and the eligibility filter see it.

    Args:
        text: The conversation as text, in order, already cut to its head and tail (see `router.text_window`).
        prompt_characters: Length of the whole conversation before it was cut.
        prompt_tokens: Estimated input tokens of the whole conversation, images and tools included.
        n_turns: Number of messages.
        required: Capabilities that the request cannot do without.
        max_output_tokens: The caller's limit on the answer; None: not given.
        service_tier: Service tier that the caller asks for, such as flex; it is billed by the price of its own that a
            lane may have. None: the standard one.
        web_searches: Searches of the web that the request lets the provider make, as far as it says; 0: none.
        effort: Effort of reasoning that the request states, one of `router.effort.EFFORTS` or `OTHER_EFFORT`; None: it
            says nothing about reasoning.
        dialect_fields: Names of the request's fields because of which it needs a lane of its own dialect.
    """

    text: str
    prompt_characters: int
    prompt_tokens: int
    n_turns: int = 1
    required: Capability = Capability.NONE
    max_output_tokens: int | None = None
    service_tier: str | None = None
    web_searches: int = 0
    effort: str | None = None
    dialect_fields: tuple[str, ...] = ()

    @classmethod
    def from_prompt(cls, prompt: object) -> "RouteContext":
        """Build the context of a single user message, as training and the command line see prompts.

        Raises:
            TextError: The prompt is not text, is blank, or is longer than `MAX_PROMPT_CHARACTERS`.
        """
        from router.text_window import cut_to_window, estimate_tokens

        if not isinstance(prompt, str):
            raise TextError(f"a prompt must be text, got {type(prompt).__name__}")
        if not prompt.strip():
            raise TextError("a prompt must not be empty or blank")
        if len(prompt) > MAX_PROMPT_CHARACTERS:
            raise TextError(
                f"a prompt may have {MAX_PROMPT_CHARACTERS:,} characters, got {len(prompt):,}: shorten it or split it"
            )
        return cls(cut_to_window(prompt), len(prompt), estimate_tokens(len(prompt)))


@dataclass(frozen=True, slots=True)
class Constraints:
    """Hard limits of the caller and the operator. A lane that breaks one is excluded, and the limit is the reason.

    Args:
        pinned_lanes: Ids of the only lanes the caller accepts, because it named a model or a lane; None: no pin.
        only_providers: Only these providers; empty: all.
        ignored_providers: Never these providers.
        allowed_lanes: Ids of the lanes of the caller's `models` pool; None: all.
        permitted_lanes: Ids of the lanes that the caller's virtual key may use; None: all.
        readers: Ids of the lanes that can read the reasoning which the conversation carries; None: all lanes can.
        region: Region in which inference must run; None: any.
        denies_training: Whether to exclude lanes that train on data, or may.
        requires_zero_retention: Whether to exclude lanes that keep data, or may.
        efforts: Efforts that a lane may set for this request; None: all. The provider's default is always allowed.
        required_parameters: Names of the request's parameters that the lane must not refuse.
        max_input_usd_per_mtok: Highest input rate accepted; None: any.
        max_output_usd_per_mtok: Highest output rate accepted; None: any.
        max_request_usd: Highest flat price per request accepted; None: any.
        max_cost_usd: Highest expected cost of this request; None: any.
        max_latency_ms: Longest expected time to the whole answer, milliseconds; None: any.
    """

    pinned_lanes: frozenset[str] | None = None
    only_providers: frozenset[str] = frozenset()
    ignored_providers: frozenset[str] = frozenset()
    allowed_lanes: frozenset[str] | None = None
    permitted_lanes: frozenset[str] | None = None
    readers: frozenset[str] | None = None
    region: Region | None = None
    denies_training: bool = False
    requires_zero_retention: bool = False
    efforts: frozenset[str] | None = None
    required_parameters: frozenset[str] = frozenset()
    max_input_usd_per_mtok: Decimal | None = None
    max_output_usd_per_mtok: Decimal | None = None
    max_request_usd: Decimal | None = None
    max_cost_usd: float | None = None
    max_latency_ms: float | None = None


NO_CONSTRAINTS = Constraints()


@dataclass(frozen=True, slots=True)
class Preferences:
    """Soft wishes of the caller. They rank lanes and never exclude one.

    Args:
        quality_bar: Least P(good answer) wanted, 0..1; None: no bar, weigh quality against cost.
        quality_of_best: Share of the best lane's quality that is to be kept on average, 0..1; None: no such bar.
        willingness_to_pay_usd: Worth of a good answer to the caller, USD; None: the operator's default.
        latency_usd_per_s: Cost of a second of waiting to the caller, USD.
        preferred_max_latency_ms: Expected latency above which a lane goes to a later fallback tier, milliseconds; None:
            any.
        preferred_min_tokens_per_s: Output speed below which a lane goes to a later fallback tier; None: any.
        preferred_providers: Providers that come first, in this order.
        lane_order: Lane id -> place in the caller's order of preference; other lanes come last. None: no order.
    """

    quality_bar: float | None = None
    quality_of_best: float | None = None
    willingness_to_pay_usd: float | None = None
    latency_usd_per_s: float = 0.0
    preferred_max_latency_ms: float | None = None
    preferred_min_tokens_per_s: float | None = None
    preferred_providers: tuple[str, ...] = ()
    lane_order: Mapping[str, int] | None = None


NO_PREFERENCES = Preferences()
