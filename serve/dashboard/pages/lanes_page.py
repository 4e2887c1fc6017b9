"""`/lanes`: every lane with its price, the source of the price, and its present state."""

from fastapi import APIRouter, Request, Response

from serve.dashboard.page import render_page
from serve.dashboard.viewer import Viewer, directory_of, vectors_of, viewer_of
from serve.dashboard.views.lane_facts import LaneFact, lane_facts, narrowed
from serve.dashboard.views.price_comparison import differing_prices
from serve.gateway import ResourceSet, resources_of
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

routes = APIRouter(include_in_schema=False)

_MOST_SHOWN = 300
_LONGEST_WISH = 100


@routes.get("/lanes")
def list_lanes(request: Request) -> Response:
    """Show the lanes that policies may choose, or those that the viewer looks for."""
    viewer = viewer_of(request)
    resources = resources_of(request.app)
    every = all_lane_facts(resources, viewer)
    providers = sorted({fact.lane.provider for fact in every})
    wanted = {name: request.query_params.get(name, "")[:_LONGEST_WISH] for name in ("provider", "q", "all")}
    facts = narrowed(every, wanted["provider"], wanted["q"], shows_all=bool(wanted["all"]))
    return render_page(
        request,
        viewer,
        "lanes.html",
        facts=facts[:_MOST_SHOWN],
        n_matching=len(facts),
        n_lanes=len(every),
        n_by_name=sum(not fact.is_choosable for fact in every),
        wanted=wanted,
        today=resources.clock.now().date(),
        providers=providers,
        notices=(*resources.notices, *resources.prices.notices()) if viewer.account == DEFAULT_ACCOUNT else (),
        price_snapshot_id=directory_of(resources, viewer).price_snapshot_id,
    )


def all_lane_facts(resources: ResourceSet, viewer: Viewer) -> list[LaneFact]:
    """Return all lanes. Those that make vectors come last."""
    now = resources.clock.now()
    answering, vectors = directory_of(resources, viewer), vectors_of(resources, viewer)
    memory = resources.routing.refused_parameters
    refused = [] if memory is None else memory.entries()
    others = differing_prices([*answering.table.lanes, *vectors.table.lanes], now, resources.prices.published)
    return [
        *lane_facts(answering, now.date(), others, refused),
        *lane_facts(vectors, now.date(), others, makes_vectors=True),
    ]
