"""Renders pages, with the headers that every page has."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse

from serve.dashboard.assets import asset_url
from serve.dashboard.forms import TOKEN_FIELD
from serve.dashboard.plot_library import plot_library_url
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import Viewer, directory_of
from serve.dashboard.views import number_text
from serve.gateway import resources_of

if TYPE_CHECKING:
    from jinja2 import Environment

THEME_COOKIE: Final = "llmdeal_theme"
THEMES: Final = ("system", "light", "dark")
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
NAVIGATION: Final = (
    ("/", "Overview"),
    ("/requests", "Requests"),
    ("/lanes", "Lanes & prices"),
    ("/router", "Router"),
    ("/playground", "Playground"),
    ("/keys", "Keys"),
    ("/budgets", "Budgets"),
    ("/account", "Account"),
)


def render_page(
    request: Request, viewer: Viewer | None, template: str, status: int = 200, **values: object
) -> HTMLResponse:
    """Return a page.

    Args:
        request: The request for the page.
        viewer: The person who looks at it; None: the viewer is not signed in.
        template: Name of a file in `templates`.
        status: The HTTP status.
        values: The page's own values for its template, in addition to those that every page has.
    """
    dashboard = dashboard_of(request.app)
    theme = request.cookies.get(THEME_COOKIE)
    shared = {
        "viewer": viewer,
        "theme": theme if theme in THEMES else "system",
        "path": request.url.path,
        "here": f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path,
        "navigation": NAVIGATION,
        "accounts_to_choose": _accounts(request, viewer),
        "form_token": dashboard.sessions.form_token(viewer.account, viewer.name) if viewer else "",
        "token_field": TOKEN_FIELD,
        "zone": dashboard.time_zone,
        "origin": str(request.base_url).rstrip("/"),
        "now": resources_of(request.app).clock.now(),
        "is_sandbox": _is_sandbox(request, viewer),
    }
    return HTMLResponse(environment().get_template(template).render(shared | values), status, SECURITY_HEADERS)


def _accounts(request: Request, viewer: Viewer | None) -> list[str]:
    """Return the accounts that a viewer can choose from; empty: there is no choice."""
    if viewer is None or viewer.is_anonymous or not (viewer.actor.is_operator or len(viewer.actor.roles) > 1):
        return []
    accounts = resources_of(request.app).identity.accounts.all()
    visible = [account.account for account in accounts if viewer.actor.role_in(account.account) is not None]
    return visible if len(visible) > 1 else []


def _is_sandbox(request: Request, viewer: Viewer | None) -> bool:
    lanes = directory_of(resources_of(request.app), viewer).table.lanes
    return bool(lanes) and all(lane.provider == "sandbox" for lane in lanes)


def redirect(path: str) -> RedirectResponse:
    """Return a redirect to another page, after a form."""
    return RedirectResponse(path, 303, SECURITY_HEADERS)


def local_path(text: str | None, otherwise: str = "/") -> str:
    """Return the path in a form or query if it is one of ours, else `otherwise`. It never leads to another site."""
    is_local = bool(text) and text is not None and text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if is_local and text is not None and text.isprintable() and "\\" not in text else otherwise


@lru_cache(maxsize=1)
def environment() -> "Environment":
    """Return the templates. They are loaded for the first page, because a gateway without viewers needs none."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent / "templates"
    templates = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "usd_text",
        "exact_usd_text",
        "float_usd_text",
        "amount_text",
        "rate_text",
        "tick_usd_text",
        "share_text",
        "probability_text",
        "ms_text",
        "count_text",
        "token_limit_text",
        "ago_text",
        "age_text",
    ):
        templates.filters[name.removesuffix("_text")] = getattr(number_text, name)
    templates.filters["local"] = _local
    templates.globals["asset"] = asset_url
    templates.globals["plot_library"] = plot_library_url()
    templates.globals["program_version"] = version("llmdeal")
    return templates


def _local(moment: datetime, zone: Any, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return moment.astimezone(zone).strftime(form)
