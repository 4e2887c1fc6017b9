"""`/`: spending and savings, lanes, and present problems. `/live` is the part of the page that changes."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from serve.dashboard.page import render_page
from serve.dashboard.queries.budgets_query import read_budgets
from serve.dashboard.queries.feedback_query import read_thumbs
from serve.dashboard.queries.usage_query import LaneSums
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import Viewer, directory_of, viewer_of
from serve.dashboard.views.lane_facts import lane_facts, troubled
from serve.dashboard.views.overview_view import OverviewView, overview_view
from serve.dashboard.views.savings import estimate
from serve.dashboard.views.spans import SPANS, Span, span_named
from serve.gateway import resources_of
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

routes = APIRouter(include_in_schema=False)

_HOUR = timedelta(hours=1)


@routes.get("/")
def show_overview(request: Request) -> Response:
    """Show the page."""
    return _page(request, "overview.html")


@routes.get("/live")
def show_live_part(request: Request) -> Response:
    """Show the part that changes, which the script puts in place."""
    return _page(request, "overview_live.html")


def span_of(request: Request) -> Span:
    """Return the span of time that the URL names."""
    name = request.query_params.get("span", "month")
    return span_named(name, resources_of(request.app).clock.now(), dashboard_of(request.app).time_zone)


def bucket_sums(request: Request, viewer: Viewer, span: Span) -> list[LaneSums]:
    """Return the sums of each bucket of a span."""
    usage = dashboard_of(request.app).usage
    return [usage.sums(viewer.account, bucket.since, bucket.until) for bucket in span.buckets]


def _page(request: Request, template: str) -> Response:
    viewer = viewer_of(request)
    span = span_of(request)
    notices = resources_of(request.app).prices.notices() if viewer.account == DEFAULT_ACCOUNT else ()
    return render_page(
        request, viewer, template, view=_view(request, viewer, span), span_names=SPANS, price_notices=notices
    )


def _view(request: Request, viewer: Viewer, span: Span) -> OverviewView:
    resources, dashboard = resources_of(request.app), dashboard_of(request.app)
    now = resources.clock.now()
    sums = bucket_sums(request, viewer, span)
    lanes = [lane for bucket in sums for lane in bucket]
    answered, spent = sum(lane.answered for lane in lanes), sum(lane.cost_nusd for lane in lanes)
    return overview_view(
        span,
        sums,
        dashboard.usage.sums(viewer.account, now - _HOUR, now),
        estimate(dashboard.samples.draw(viewer.account, span.since, answered), spent, answered),
        read_thumbs(resources.engine, viewer.account, span.since),
        read_budgets(resources, viewer.account),
        troubled(lane_facts(directory_of(resources, viewer), now.date(), {})),
        now,
        dashboard.time_zone,
    )
