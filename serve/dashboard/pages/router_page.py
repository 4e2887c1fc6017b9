"""`/router`: the quality model that decides, its training data, and the reliability of its predictions."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from serve.dashboard.page import render_page
from serve.dashboard.queries.feedback_query import read_judged_qualities
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import Viewer, directory_of
from serve.dashboard.views.router_view import exploration_view, pool_lines, reliability_of, router_view
from serve.gateway import resources_of
from serve.instant import to_microseconds
from serve.watch.configured_watch import learning_terms
from serve.watch.report import read_report


def render_router(
    request: Request, viewer: Viewer, status: int, bundles: Mapping[str, Any] | None, problem: str = ""
) -> Response:
    """Show the quality model.

    Args:
        request: Request for the page.
        viewer: Person who looks at it.
        status: HTTP status.
        bundles: Values about the bundles; None: they are not shown.
        problem: Reason why a change was refused; empty: none was.
    """
    resources = resources_of(request.app)
    judged = read_judged_qualities(resources.engine, viewer.account)
    table = directory_of(resources, viewer).table
    terms = learning_terms(dashboard_of(request.app).settings.watch)
    bundle = resources.bundles.champion.generation.bundle
    bases = [table.quality_basis(row) for row in range(len(table))]
    return render_page(
        request,
        viewer,
        "router.html",
        status,
        bundles=bundles,
        problem=problem,
        view=router_view(bundle.folder),
        pools=pool_lines(bundle.pools, {lane.vendor_model for lane in table.lanes}),
        bundle_version=resources.routing.directory.router_version,
        policy=resources.routing.default_policy.name,
        exploration=exploration_view(resources.explorer),
        n_graded=sum(basis in ("own_grades", "trained", "calibrated") for basis in bases),
        n_lanes=len(bases),
        judged=len(judged),
        watch=read_report(resources.engine, terms, viewer.account, to_microseconds(resources.clock.now())),
        own=reliability_of([pair[0] for pair in judged], [pair[1] for pair in judged]),
    )
