"""`GET /v1/models`: what can be asked for, with prices and capabilities of every lane. The shape is OpenAI's and Anthropic's at once."""

from collections import defaultdict
from typing import Any

from fastapi import APIRouter, Request

from router.lane import Capability, Lane
from router.lane_table import LaneTable
from serve.gateway import resources_of
from serve.http.authentication import authenticate
from serve.http.openapi import answered_with, error_answers
from serve.http.openapi_answers import ModelsAnswer
from serve.identity.virtual_keys import VirtualKeyHolder
from serve.lanes.directory import LaneDirectory
from serve.routing.request import SMART_ROUTE

routes = APIRouter()


@routes.get(
    "/v1/models",
    summary="List what can be asked for",
    response_model=None,
    responses={200: answered_with(ModelsAnswer), **error_answers(401)},
)
async def list_models(request: Request) -> dict[str, Any]:
    """Return `smart-route` and every vendor model with the lanes that host it, prices in USD per million tokens."""
    resources = resources_of(request.app)
    holder = authenticate(request, resources.key_ring)
    answers = resources.routing.directories.by_account().get(holder.account)
    vectors = resources.vectors.directories.by_account().get(holder.account)
    shown = [] if answers is None else _permitted(answers, holder)
    rows = [row for directory in (answers, vectors) if directory is not None for row in _rows(directory, holder)]
    data = [{**_entry(SMART_ROUTE, "llmdeal"), "lanes": [lane.lane_id for lane in shown]}, *rows]
    return {"object": "list", "data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}


def _permitted(directory: LaneDirectory, holder: VirtualKeyHolder) -> list[Lane]:
    lanes = directory.table.lanes
    if not holder.lanes:
        return list(lanes)
    permitted = directory.permitted(holder.lanes)
    return [lane for lane in lanes if lane.lane_id in permitted]


def _rows(directory: LaneDirectory, holder: VirtualKeyHolder) -> list[dict[str, Any]]:
    by_vendor_model: dict[str, list[Lane]] = defaultdict(list)
    for lane in _permitted(directory, holder):
        by_vendor_model[lane.vendor_model].append(lane)
    return [_vendor_model(name, lanes, directory.table) for name, lanes in sorted(by_vendor_model.items())]


def _vendor_model(name: str, lanes: list[Lane], table: LaneTable) -> dict[str, Any]:
    return {**_entry(name, name.partition("/")[0]), "lanes": [_lane(lane, table) for lane in lanes]}


def _entry(name: str, owner: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": owner,
        "type": "model",
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
    }


def _lane(lane: Lane, table: LaneTable) -> dict[str, Any]:
    price = lane.price
    return {
        "id": lane.lane_id,
        "provider": lane.provider,
        "upstream_model": lane.upstream_model,
        "region": lane.region,
        "context_length": lane.context_tokens,
        "max_output_tokens": lane.max_output_tokens,
        "capabilities": sorted(str(flag.name).lower() for flag in Capability if flag in lane.capabilities),
        "quality_basis": table.quality_basis(table.index_of[lane.lane_id]),
        "trains_on_data": lane.trains_on_data,
        "retains_data": lane.retains_data,
        "pricing": {
            "input_usd_per_mtok": str(price.input_usd_per_mtok),
            "output_usd_per_mtok": str(price.output_usd_per_mtok),
            "cached_input_usd_per_mtok": None
            if price.cached_input_usd_per_mtok is None
            else str(price.cached_input_usd_per_mtok),
            "request_usd": str(price.request_usd),
            "source": price.source,
            "checked_on": price.checked_on.isoformat(),
        },
    }
