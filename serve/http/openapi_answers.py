"""What the endpoints answer, as far as the gateway itself vouches for it; what a provider adds travels on. Only the OpenAPI document reads these."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from router.reason import Reason

Json = dict[str, Any]


class CostDetails(Struct):
    """What the cost is made of, USD."""

    prompt_cost: float
    completion_cost: float
    request_cost: float
    is_estimated: bool


class Costed(Struct, kw_only=True):
    """What every `usage` says besides the tokens: the money that leaves the account of whoever owns the provider key, USD."""

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


class Candidate(Struct):
    """A lane with what was expected of it."""

    lane: str
    model: str
    quality: float
    quality_std: float
    quality_shift: float
    account_shift: float
    quality_basis: Literal["trained", "calibrated", "prior"]
    completion_tokens: int
    cost_usd: float
    cache_discount_usd: float
    latency_ms: int
    excluded_by: str | None
    probability: float
    exploration_price_usd: float | None
    now: "Vitals"


class Vitals(Struct):
    """How a lane fares now; `null` is unknown."""

    rests_for_s: float
    ttft_ms: float
    ms_per_token: float
    error_rate: float
    requests_left: float | None
    tokens_left: float | None


class DecisionAnswer(Struct):
    """A decision: every candidate, and which one won."""

    request_id: str
    chosen: str
    runner_up: str | None
    reason: Reason
    policy: str
    propensity: float
    exploration_price_usd: float | None
    candidates: list[Candidate]
    difficulty: float
    price_snapshot_id: str


class RouteAnswer(DecisionAnswer):
    """A decision, without an answer."""

    prompt_tokens: int
    router_version: str


class Explanation(DecisionAnswer):
    """The `llmdeal` object of an answer: the decision, and what became of it."""

    lane: str
    attempts: int


class Explained(Struct, kw_only=True):
    """What an answer holds where its request asked for it."""

    llmdeal: Explanation | UnsetType = UNSET


class ChatAnswer(Explained, kw_only=True):
    """A chat completion."""

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
    """One event of a stream: `data` is JSON of the door's dialect, or `[DONE]`; `event` where the dialect names its events."""

    data: str
    event: str | UnsetType = UNSET


class CountAnswer(Struct):
    """How long a request is."""

    input_tokens: int


class Pricing(Struct):
    """USD; `source` and `checked_on` say where and when it was read."""

    input_usd_per_mtok: str
    output_usd_per_mtok: str
    cached_input_usd_per_mtok: str | None
    request_usd: str
    source: str
    checked_on: str


class OfferedLane(Struct):
    """One way to get a model; `null` is unknown."""

    id: str
    provider: str
    upstream_model: str
    region: str | None
    context_length: int | None
    max_output_tokens: int | None
    capabilities: list[str]
    quality_basis: Literal["trained", "calibrated", "prior"]
    trains_on_data: bool | None
    retains_data: bool | None
    pricing: Pricing


class OfferedModel(Struct):
    """What `model` may be, with the lanes that host it; of `smart-route` their names only."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    type: Literal["model"]
    display_name: str
    created_at: str
    lanes: list[str | OfferedLane]


class ModelsAnswer(Struct):
    """Everything that can be asked for, in the shape of OpenAI and of Anthropic at once."""

    object: Literal["list"]
    data: list[OfferedModel]
    has_more: bool
    first_id: str
    last_id: str


class FeedbackAnswer(Struct):
    """What became of the feedback; not recorded means that the log had no room for it."""

    request_id: str
    request_ids: list[str]
    is_recorded: bool


class ReadyAnswer(Struct):
    """What the gateway has to work with."""

    status: Literal["ready", "not ready"]
    checks: dict[str, bool]
    router_version: str
    lanes: int
    price_snapshot_id: str


class FailedAttempt(Struct):
    """One upstream call that failed."""

    lane: str
    status: int | None
    outcome: str


class ErrorBody(Struct):
    """What was wrong and how to mend it; `attempts` where lanes were tried."""

    message: str
    type: str
    param: str | None
    code: str
    attempts: list[FailedAttempt] | UnsetType = UNSET


class ErrorAnswer(Struct):
    """An error, in OpenAI's envelope."""

    error: ErrorBody


class MessagesErrorAnswer(Struct):
    """An error, in Anthropic's envelope."""

    type: Literal["error"]
    error: ErrorBody
