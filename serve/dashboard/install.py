"""Adds the dashboard to the application; called by `create_app`."""

import hashlib
import logging
import secrets
from functools import partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from serve.dashboard import assets, exports, plot_library
from serve.dashboard.page import SECURITY_HEADERS, render_page
from serve.dashboard.page_errors import PageError, SignInNeededError
from serve.dashboard.pages import (
    account_page,
    budgets_page,
    bundles_page,
    decision_page,
    keys_page,
    lanes_page,
    overview_page,
    own_page,
    playground_page,
    requests_page,
    settings_page,
    sign_in_page,
    start_page,
)
from serve.dashboard.queries.sample_query import SampleReader
from serve.dashboard.queries.usage_query import UsageReader
from serve.dashboard.sessions import Sessions
from serve.dashboard.state import DashboardState
from serve.dashboard.views.runner_up import PolicyDefaults
from serve.gateway import ResourceSet
from serve.settings import Settings
from serve.storage.database import DATABASE_AWAY

_log = logging.getLogger("llmdeal.dashboard")

_PAGES = (
    plot_library,  # before our own files, whose path would match too
    assets,
    sign_in_page,
    overview_page,
    requests_page,
    decision_page,
    lanes_page,
    bundles_page,
    playground_page,
    budgets_page,
    keys_page,
    account_page,
    own_page,
    start_page,
    settings_page,
    exports,
)


def install_dashboard(app: FastAPI, resources: ResourceSet, settings: Settings) -> None:
    """Add the pages to `app`.

    Args:
        app: Application of the gateway.
        resources: Parts of the gateway.
        settings: Settings of the gateway.
    """
    app.state.dashboard = DashboardState(
        sessions=Sessions(_secret(resources, settings)),
        usage=UsageReader(resources.engine, resources.clock.now, resources.clock.monotonic),
        samples=SampleReader(resources.engine, resources.clock.monotonic),
        time_zone=ZoneInfo(settings.time_zone),
        keeps_text=settings.telemetry_content == "full",
        policy_defaults=PolicyDefaults(settings.willingness_to_pay_usd, settings.quality_bar),
        settings=settings,
    )
    for page in _PAGES:
        app.include_router(page.routes)
    app.add_exception_handler(PageError, _show_error)
    app.add_exception_handler(SignInNeededError, _ask_to_sign_in)
    for kind in DATABASE_AWAY:
        app.add_exception_handler(kind, partial(_show_database_away, app.exception_handlers[kind]))


def _secret(resources: ResourceSet, settings: Settings) -> bytes:
    """Return the secret that signs cookies and forms: the process's own, or one that all workers share."""
    is_shared = settings.workers > 1 or resources.engine.dialect.name != "sqlite"
    if is_shared and resources.identity.vault.is_open:
        return hashlib.blake2b(resources.identity.vault.pepper(), person=b"dashboard", digest_size=32).digest()
    return secrets.token_bytes(32)


async def _show_database_away(for_programs: Any, request: Request, error: Exception) -> Response:
    """Show people a page. Programs get the same error as for every other endpoint."""
    if "text/html" not in request.headers.get("accept", ""):
        response: Response = await for_programs(request, error)
        return response
    _log.error("the database is away: %s on %s", type(error).__name__, request.url.path)
    shown = PageError(
        503, "The database does not answer", "Nothing was changed. Try again in a moment. /readyz shows its state."
    )
    response = render_page(request, None, "error.html", shown.status, error=shown)
    response.headers["retry-after"] = "2"
    return response


def _show_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PageError)
    return render_page(request, None, "error.html", error.status, error=error)


def _ask_to_sign_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignInNeededError)
    wanted = error.wanted if request.method == "GET" else "/"
    return RedirectResponse(f"/sign-in?{urlencode({'next': wanted})}", 303, SECURITY_HEADERS)
