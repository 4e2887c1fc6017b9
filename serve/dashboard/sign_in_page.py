"""`/sign-in`, `/sign-out` and `/theme`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from serve.dashboard.forms import Form, check_form, check_origin, read_form
from serve.dashboard.page import SECURITY_HEADERS, THEME_COOKIE, THEMES, local_path, redirect, render_page
from serve.dashboard.sessions import SESSION_COOKIE, SESSION_S, Session
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import viewer_of
from serve.errors import BadVirtualKeyError
from serve.resource_set import resources_of

routes = APIRouter(include_in_schema=False)

_YEAR_S = 365 * 86_400


@routes.get("/sign-in")
def ask_for_key(request: Request) -> Response:
    """Show the form; where nobody need sign in, go on."""
    wanted = local_path(request.query_params.get("next"))
    if len(resources_of(request.app).key_ring) == 0:
        return redirect(wanted)
    return render_page(request, None, "sign_in.html", wanted=wanted, was_wrong=False)


@routes.post("/sign-in")
def sign_in(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Recognise the virtual key and remember who holds it."""
    check_origin(request)
    wanted = local_path(form.get("next"))
    try:
        holder = resources_of(request.app).key_ring.recognise(form.get("virtual_key", "").strip())
    except BadVirtualKeyError:
        return render_page(request, None, "sign_in.html", 401, wanted=wanted, was_wrong=True)
    response = redirect(wanted)
    cookie = dashboard_of(request.app).sessions.issue(Session(holder.account, holder.virtual_key_id))
    _set_cookie(response, request, SESSION_COOKIE, cookie, SESSION_S)
    return response


@routes.post("/sign-out")
def sign_out(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Forget who looked."""
    check_form(request, viewer_of(request), form)
    response = redirect("/sign-in")
    response.delete_cookie(SESSION_COOKIE)
    return response


@routes.post("/theme")
def choose_theme(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Remember light, dark, or whatever the system says; the script, which has changed the page already, stays on it."""
    check_origin(request)
    theme = form.get("theme")
    response = Response(None, 204, SECURITY_HEADERS) if form.get("stay") else redirect(local_path(form.get("next")))
    _set_cookie(response, request, THEME_COOKIE, theme if theme in THEMES else "system", _YEAR_S)
    return response


def _set_cookie(response: Response, request: Request, name: str, value: str, max_age_s: int) -> None:
    is_https = request.url.scheme == "https"
    response.set_cookie(name, value, max_age=max_age_s, httponly=True, samesite="strict", secure=is_https)
