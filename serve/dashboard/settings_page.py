"""`/settings`: what the gateway was started with, for operators; secrets are left out."""

from fastapi import APIRouter, Request, Response

from serve.dashboard.page import render_page
from serve.dashboard.page_errors import PageError
from serve.dashboard.settings_view import setting_lines
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import viewer_of

routes = APIRouter(include_in_schema=False)


@routes.get("/settings")
def show_settings(request: Request) -> Response:
    """Show the settings."""
    viewer = viewer_of(request)
    if not viewer.actor.is_operator:
        raise PageError(403, "That is for operators", "Settings belong to whoever runs the gateway.")
    return render_page(request, viewer, "settings.html", lines=setting_lines(dashboard_of(request.app).settings))
