"""`/start`: the first steps. The owner of the gateway, keys, budgets, and a snippet to try the gateway with."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect, render_page
from serve.dashboard.pages.keys_page import keys_shown
from serve.dashboard.pages.sign_in_page import set_cookie
from serve.dashboard.queries.budgets_query import read_budgets
from serve.dashboard.viewer import Viewer, directory_of, viewer_of
from serve.errors import RequestError
from serve.gateway import ResourceSet, resources_of
from serve.http.authentication import SESSION_COOKIE
from serve.identity.account_desk import Membership
from serve.identity.first_start import is_first_start
from serve.identity.roles import Actor, Role
from serve.identity.sign_in import LEAST_PASSWORD_CHARACTERS, SESSION_LASTS
from serve.identity.virtual_key_desk import IssuedKey, KeyTerms
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

routes = APIRouter(include_in_schema=False)

_FIRST_START = Actor("first start", {DEFAULT_ACCOUNT: Role.OWNER})


@routes.get("/start")
def show_steps(request: Request) -> Response:
    """Show the steps, and mark those that are done."""
    return _page(request, viewer_of(request))


@routes.post("/start/owner")
def create_owner(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Create the gateway's owner, if there is none yet, and sign the owner in."""
    viewer = viewer_of(request)
    check_form(request, viewer, form)
    resources = resources_of(request.app)
    if not _is_first_start(resources):
        return redirect("/start")
    password = form.get("password", "")
    try:
        owner = Membership(form.get("email", ""), Role.OWNER, password)
        email = resources.desks.accounts.set_member(DEFAULT_ACCOUNT, owner, _FIRST_START)
        secret = resources.identity.sign_in.sign_in(email, password)
    except RequestError as error:
        return _page(request, viewer, error.status, error.message)
    response = redirect("/start")
    set_cookie(response, request, SESSION_COOKIE, secret, int(SESSION_LASTS.total_seconds()))
    return response


@routes.post("/start/key")
def issue_first_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Issue a virtual key and show the snippets with it."""
    viewer = viewer_of(request)
    check_form(request, viewer, form)
    desk, name = resources_of(request.app).desks.virtual_keys, form.get("name", "").strip() or "first"
    try:
        issued = desk.issue(viewer.account, name, KeyTerms(), viewer.actor)
    except RequestError as error:
        return _page(request, viewer, error.status, error.message)
    return _page(request, viewer, issued=issued)


def _is_first_start(resources: ResourceSet) -> bool:
    return is_first_start(resources.key_ring, resources.identity.accounts)


def _page(
    request: Request, viewer: Viewer, status: int = 200, problem: str = "", issued: IssuedKey | None = None
) -> Response:
    resources = resources_of(request.app)
    lanes = [lane for lane in directory_of(resources, viewer).table.lanes if lane.provider != "sandbox"]
    return render_page(
        request,
        viewer,
        "start.html",
        status,
        **keys_shown(request, resources, viewer),
        needs_owner=_is_first_start(resources),
        payers=sorted({lane.account for lane in lanes}),
        n_lanes=len(lanes),
        budgets=[line for line in read_budgets(resources, viewer.account) if line.cap_nusd is not None],
        least_password=LEAST_PASSWORD_CHARACTERS,
        problem=problem,
        issued=issued,
    )
