"""`/sign-in`, `/sign-out`, `/account/choose` and `/theme`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from serve.dashboard.forms import Form, check_form, check_origin, read_form
from serve.dashboard.page import SECURITY_HEADERS, THEME_COOKIE, THEMES, local_path, redirect, render_page
from serve.dashboard.sessions import SESSION_S
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import ACCOUNT_COOKIE, KEY_COOKIE, viewer_of
from serve.errors import BadSignInError, BadVirtualKeyError, ForbiddenError
from serve.gateway import resources_of
from serve.http.authentication import SESSION_COOKIE
from serve.identity.first_start import is_first_start
from serve.identity.roles import actor_of_key
from serve.identity.sign_in import SESSION_LASTS
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

routes = APIRouter(include_in_schema=False)

_YEAR_S = 365 * 86_400


@routes.get("/sign-in")
def ask_who(request: Request) -> Response:
    """Show the form, or go on if no sign-in is needed."""
    wanted = local_path(request.query_params.get("next"))
    resources = resources_of(request.app)
    if is_first_start(resources.key_ring, resources.identity.accounts):
        return redirect(wanted)
    return _form(request, 200, wanted, "")


@routes.post("/sign-in")
def sign_in(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Sign in with a password, or with a virtual key that may look."""
    check_origin(request)
    wanted = local_path(form.get("next"))
    response = redirect(wanted)
    try:
        if form.get("virtual_key"):
            holder = resources_of(request.app).key_ring.recognise(form["virtual_key"].strip())
            actor_of_key(holder)
            cookie = dashboard_of(request.app).sessions.issue(holder.virtual_key_id)
            set_cookie(response, request, KEY_COOKIE, cookie, SESSION_S)
            response.delete_cookie(SESSION_COOKIE)
        else:
            secret = resources_of(request.app).identity.sign_in.sign_in(form.get("email", ""), form.get("password", ""))
            set_cookie(response, request, SESSION_COOKIE, secret, int(SESSION_LASTS.total_seconds()))
            response.delete_cookie(KEY_COOKIE)
    except BadVirtualKeyError:
        return _form(request, 401, wanted, "The gateway does not know this virtual key. Check it and try again.")
    except (BadSignInError, ForbiddenError) as error:
        return _form(request, error.status, wanted, error.message)
    return response


@routes.post("/sign-out")
def sign_out(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """End the session."""
    check_form(request, viewer_of(request), form)
    response = redirect("/sign-in")
    secret = request.cookies.get(SESSION_COOKIE)
    if secret is not None:
        resources_of(request.app).identity.sign_in.sign_out(secret)
    for name in (SESSION_COOKIE, KEY_COOKIE, ACCOUNT_COOKIE):
        response.delete_cookie(name)
    return response


@routes.post("/account/choose")
def choose_account(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Show another account from now on. Every page checks again that the viewer may see it."""
    check_form(request, viewer_of(request), form)
    response = redirect(local_path(form.get("next")))
    set_cookie(response, request, ACCOUNT_COOKIE, form.get("account", "")[:64], _YEAR_S)
    return response


@routes.post("/theme")
def choose_theme(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Remember the theme. The script has changed the page already, so it stays on it."""
    check_origin(request)
    theme = form.get("theme")
    response = Response(None, 204, SECURITY_HEADERS) if form.get("stay") else redirect(local_path(form.get("next")))
    set_cookie(response, request, THEME_COOKIE, theme if theme in THEMES else "system", _YEAR_S)
    return response


def set_cookie(response: Response, request: Request, name: str, value: str, max_age_s: int) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send."""
    is_https = request.url.scheme == "https"
    response.set_cookie(name, value, max_age=max_age_s, httponly=True, samesite="strict", secure=is_https)


def _form(request: Request, status: int, wanted: str, problem: str) -> Response:
    has_owner = resources_of(request.app).identity.accounts.has_owner(DEFAULT_ACCOUNT)
    return render_page(request, None, "sign_in.html", status, wanted=wanted, problem=problem, has_owner=has_owner)
