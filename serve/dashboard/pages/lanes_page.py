"""`/lanes`: every lane with its price, the source of the price, and its present state."""

from fastapi import APIRouter, Request, Response

from serve.dashboard.page import render_page
from serve.dashboard.viewer import Viewer, directory_of, vectors_of, viewer_of
from serve.dashboard.views.lane_facts import LaneFact, lane_facts
from serve.dashboard.views.price_comparison import differing_prices
from serve.gateway import ResourceSet, resources_of
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

routes = APIRouter(include_in_schema=False)


@routes.get("/lanes")
def list_lanes(request: Request) -> Response:
    """Show every lane."""
    viewer = viewer_of(request)
    resources = resources_of(request.app)
    facts = all_lane_facts(resources, viewer)
    providers = sorted({fact.lane.provider for fact in facts})
    return render_page(
        request,
        viewer,
        "lanes.html",
        facts=facts,
        providers=providers,
        notices=(*resources.notices, *resources.prices.notices()) if viewer.account == DEFAULT_ACCOUNT else (),
        price_snapshot_id=directory_of(resources, viewer).price_snapshot_id,
    )


def all_lane_facts(resources: ResourceSet, viewer: Viewer) -> list[LaneFact]:
    """Return all lanes. Those that make vectors come last."""
    now = resources.clock.now()
    answering, vectors = directory_of(resources, viewer), vectors_of(resources, viewer)
    others = differing_prices([*answering.table.lanes, *vectors.table.lanes], now, resources.prices.published)
    return [
        *lane_facts(answering, now.date(), others),
        *lane_facts(vectors, now.date(), others, makes_vectors=True),
    ]
