"""`GET /v1/models`: the models that a caller can ask for, with prices and capabilities of every lane.

The shape is OpenAI's and Anthropic's at once.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from fastapi import APIRouter, Request
from msgspec import Struct

from router.lane import Capability, Lane
from router.lane_table import LaneTable
from router.quality_basis import QualityBasis
from serve.gateway import resources_of
from serve.http.authentication import authenticate
from serve.http.openapi_responses import answered_with, error_answers
from serve.http.struct_response import StructResponse
from serve.identity.virtual_keys import VirtualKeyHolder
from serve.lanes.directory import LaneDirectory
from serve.routing.request import SMART_ROUTE, split_suffix, unknown_model

routes = APIRouter()

_UNKNOWN_DATE: Final = "1970-01-01T00:00:00Z"


class TierPricing(Struct):
    """USD per million tokens in a service tier, which a request asks for with `service_tier` or `speed`."""

    input_usd_per_mtok: str
    output_usd_per_mtok: str
    cached_input_usd_per_mtok: str | None


class Pricing(Struct):
    """USD. `source` and `checked_on` say where the price is from and of which day; null: the operator set it."""

    input_usd_per_mtok: str
    output_usd_per_mtok: str
    cached_input_usd_per_mtok: str | None
    cache_write_usd_per_mtok: str | None
    cache_write_1h_usd_per_mtok: str | None
    request_usd: str
    web_search_usd: str | None
    file_search_usd: str | None
    service_tiers: dict[str, TierPricing]
    source: str
    checked_on: str | None
    age_days: int | None


class OfferedLane(Struct):
    """One way to get a model; `null` is unknown. `smart_route`: whether a request without a model's name may get it."""

    id: str
    provider: str
    upstream_model: str
    effort: str | None
    region: str | None
    context_length: int | None
    max_output_tokens: int | None
    capabilities: list[str]
    quality_basis: QualityBasis
    quality_basis_text: str
    trains_on_data: bool | None
    retains_data: bool | None
    smart_route: bool
    deprecated_on: str | None
    pricing: Pricing


class OfferedModel(Struct):
    """A value of `model`, with the lanes that host it; of `smart-route` their names only."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    type: Literal["model"]
    display_name: str
    created_at: str
    lanes: Sequence[str | OfferedLane]


class ModelsAnswer(Struct):
    """Everything that can be asked for, in the shape of OpenAI and of Anthropic at once."""

    object: Literal["list"]
    data: list[OfferedModel]
    has_more: bool
    first_id: str
    last_id: str


@routes.get(
    "/v1/models",
    summary="List what can be asked for",
    response_model=None,
    responses={200: answered_with(ModelsAnswer), **error_answers(401)},
)
async def list_models(request: Request, provider: str = "", search: str = "") -> StructResponse:
    """Return `smart-route` and every vendor model with the lanes that host it, prices in USD per million tokens.

    Models that `smart-route` may choose come first. `provider` and `search` leave out lanes of other providers, and
    lanes with neither id nor model containing the text.
    """
    resources = resources_of(request.app)
    holder = authenticate(request, resources.key_ring)
    answers = resources.routing.directories.by_account().get(holder.account)
    vectors = resources.vectors.directories.by_account().get(holder.account)
    smart_route_lanes = [] if answers is None else [lane.lane_id for lane in _choosable(answers, holder)]
    data = [_model(SMART_ROUTE, "llmdeal", smart_route_lanes)]
    for directory in (answers, vectors):
        if directory is not None:
            data += _vendor_models(directory, holder, resources.clock.now().date(), provider, search.lower())
    return StructResponse(ModelsAnswer("list", data, has_more=False, first_id=data[0].id, last_id=data[-1].id))


@routes.get(
    "/v1/models/{model_id:path}",
    summary="Return one value of `model`",
    response_model=None,
    responses={200: answered_with(OfferedModel), **error_answers(401, 404)},
)
async def show_model(request: Request, model_id: str) -> StructResponse:
    """Return a model by any name that a request may give it: `smart-route`, `vendor/model`, `model`, or a lane's id."""
    resources = resources_of(request.app)
    holder = authenticate(request, resources.key_ring)
    today = resources.clock.now().date()
    answers = resources.routing.directories.by_account().get(holder.account)
    vectors = resources.vectors.directories.by_account().get(holder.account)
    if model_id == SMART_ROUTE:
        lanes = [] if answers is None else [lane.lane_id for lane in _choosable(answers, holder)]
        return StructResponse(_model(SMART_ROUTE, "llmdeal", lanes))
    for directory in (answers, vectors):
        if directory is None:
            continue
        permitted = {lane.lane_id for lane in _permitted(directory, holder)}
        rows = directory.table.find(split_suffix(model_id, directory.table)[0])
        lanes_named = [lane for row in rows if (lane := directory.table.lanes[row]).lane_id in permitted]
        if lanes_named:
            choosable = directory.choosable.index_of
            offered = [
                _lane(lane, directory.table, today, is_choosable=lane.lane_id in choosable) for lane in lanes_named
            ]
            return StructResponse(_model(model_id, lanes_named[0].vendor_model.partition("/")[0], offered))
    raise unknown_model(model_id, (answers or resources.empty_directory).table, "model")


def _choosable(directory: LaneDirectory, holder: VirtualKeyHolder) -> list[Lane]:
    return [lane for lane in _permitted(directory, holder) if lane.lane_id in directory.choosable.index_of]


def _permitted(directory: LaneDirectory, holder: VirtualKeyHolder) -> list[Lane]:
    lanes = directory.table.lanes
    if not holder.lanes:
        return list(lanes)
    permitted = directory.permitted(holder.lanes)
    return [lane for lane in lanes if lane.lane_id in permitted]


def _vendor_models(
    directory: LaneDirectory, holder: VirtualKeyHolder, today: date, provider: str, search: str
) -> list[OfferedModel]:
    choosable = directory.choosable.index_of
    by_vendor_model: dict[str, list[Lane]] = defaultdict(list)
    for lane in _permitted(directory, holder):
        if provider in ("", lane.provider) and search in f"{lane.lane_id}\n{lane.vendor_model}".lower():
            by_vendor_model[lane.vendor_model].append(lane)
    ordered = sorted(
        by_vendor_model.items(), key=lambda item: (not any(lane.lane_id in choosable for lane in item[1]), item[0])
    )
    return [
        _model(
            name,
            name.partition("/")[0],
            [_lane(lane, directory.table, today, is_choosable=lane.lane_id in choosable) for lane in lanes],
        )
        for name, lanes in ordered
    ]


def _model(name: str, owner: str, lanes: Sequence[str | OfferedLane]) -> OfferedModel:
    return OfferedModel(
        id=name,
        object="model",
        created=0,
        owned_by=owner,
        type="model",
        display_name=name,
        created_at=_UNKNOWN_DATE,
        lanes=lanes,
    )


def _lane(lane: Lane, table: LaneTable, today: date, *, is_choosable: bool) -> OfferedLane:
    price, row = lane.price, table.index_of[lane.lane_id]
    return OfferedLane(
        id=lane.lane_id,
        provider=lane.provider,
        upstream_model=lane.upstream_model,
        effort=lane.effort,
        region=lane.region,
        context_length=lane.context_tokens,
        max_output_tokens=lane.max_output_tokens,
        capabilities=sorted(str(flag.name).lower() for flag in Capability if flag in lane.capabilities),
        quality_basis=table.quality_basis(row),
        quality_basis_text=table.describe_basis(row),
        trains_on_data=lane.trains_on_data,
        retains_data=lane.retains_data,
        smart_route=is_choosable,
        deprecated_on=None if lane.deprecated_on is None else lane.deprecated_on.isoformat(),
        pricing=Pricing(
            input_usd_per_mtok=str(price.input_usd_per_mtok),
            output_usd_per_mtok=str(price.output_usd_per_mtok),
            cached_input_usd_per_mtok=_text(price.cached_input_usd_per_mtok),
            cache_write_usd_per_mtok=_text(price.cache_write_usd_per_mtok),
            cache_write_1h_usd_per_mtok=_text(price.cache_write_1h_usd_per_mtok),
            request_usd=str(price.request_usd),
            web_search_usd=_text(price.web_search_usd),
            file_search_usd=_text(price.file_search_usd),
            service_tiers={
                name: TierPricing(
                    str(tier.input_usd_per_mtok),
                    str(tier.output_usd_per_mtok),
                    _text(tier.cached_input_usd_per_mtok),
                )
                for name, tier in price.service_tiers
            },
            source=price.source,
            checked_on=None if price.checked_on is None else price.checked_on.isoformat(),
            age_days=price.age_days(today),
        ),
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
