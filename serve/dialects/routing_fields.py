"""The fields that every door takes besides its own dialect: which lanes may answer, which are preferred, which bar."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from router.lane import Effort

NonNegative = Annotated[float, Meta(ge=0)]


class MaxPrice(Struct, forbid_unknown_fields=True):
    """OpenRouter's `provider.max_price`. Tokens are in USD per million, requests in USD each."""

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

    - `quality` is P(good answer), 0..1. `quality_of_best` is a share of the best lane's mean quality, 0..1.
    - `willingness_to_pay` and `max_cost` are USD.
    - `max_latency_ms` is the time to the end of the answer.
    - `explore: false` asks the best lane only.
    - `efforts` are the efforts of reasoning that may be set for the request; `[]`: the provider's default alone.
    """

    quality: Annotated[float, Meta(ge=0, le=1)] | None = None
    quality_of_best: Annotated[float, Meta(ge=0, le=1)] | None = None
    willingness_to_pay: Annotated[float, Meta(ge=0, le=1_000)] | None = None
    max_cost: NonNegative | None = None
    max_latency_ms: NonNegative | None = None
    region: Literal["eu", "us"] | None = None
    explain: bool = False
    explore: bool = True
    efforts: list[Effort] | None = None


class RoutingFields(Struct, kw_only=True):
    """The fields of a request's body that the gateway itself reads."""

    model: str
    models: list[str] | None = None
    provider: ProviderPreferences | None = None
    route: RouteOptions | None = None
    session_id: Annotated[str, Meta(max_length=256)] | None = None


OUR_FIELDS = ("models", "provider", "route", "session_id")
"""Fields that are never sent to a provider."""
