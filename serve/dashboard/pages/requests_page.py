"""`/requests`: every request, in pages, with filters."""

from fastapi import APIRouter, Request, Response

from serve.dashboard.page import render_page
from serve.dashboard.queries.requests_filter import OUTCOMES, RequestFilter, read_filter
from serve.dashboard.queries.requests_query import Cursor, read_choices, read_page
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import viewer_of
from serve.dashboard.views.requests_view import requests_view
from serve.gateway import resources_of

routes = APIRouter(include_in_schema=False)


@routes.get("/requests")
def list_requests(request: Request) -> Response:
    """Show a page of requests."""
    viewer = viewer_of(request)
    engine = resources_of(request.app).engine
    wanted = filter_of(request)
    page = read_page(engine, viewer.account, wanted, Cursor.read(request.query_params.get("at")))
    return render_page(
        request,
        viewer,
        "requests.html",
        view=requests_view(page, wanted),
        wanted=wanted,
        choices=read_choices(engine, viewer.account),
        outcomes=OUTCOMES,
    )


def filter_of(request: Request) -> RequestFilter:
    """Return the filter in the URL."""
    return read_filter(request.query_params, resources_of(request.app).clock.now(), dashboard_of(request.app).time_zone)
