"""`/start`: the first steps. Create the owner; then keys, budgets, and the snippet for one's program."""

from typing import Annotated

from anyio import from_thread
from fastapi import APIRouter, Depends, Request, Response

from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect, render_page
from serve.dashboard.pages.keys_page import keys_shown
from serve.dashboard.pages.sign_in_page import set_cookie
from serve.dashboard.queries.budgets_query import read_budgets
from serve.dashboard.viewer import Viewer, directory_of, viewer_of
from serve.errors import RequestError
from serve.gateway import resources_of
from serve.http.admin.actor import SESSION_COOKIE, is_first_start
from serve.identity.issued_keys import IssuedKey, KeyTerms
from serve.identity.roles import Role
from serve.identity.sign_in import LEAST_PASSWORD_CHARACTERS, SESSION_LASTS
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

routes = APIRouter(include_in_schema=False)


@routes.get("/start")
def show_steps(request: Request) -> Response:
    """Show the steps, those that are done marked."""
    return _page(request, viewer_of(request))


@routes.post("/start/owner")
def create_owner(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Create the gateway's owner, as long as nobody is, and sign them in."""
    viewer = viewer_of(request)
    check_form(request, viewer, form)
    resources = resources_of(request.app)
    if not is_first_start(resources):
        return redirect("/start")
    identity = resources.identity
    try:
        email = identity.sign_in.add_person(
            DEFAULT_ACCOUNT, form.get("email", ""), form.get("password", ""), "first start"
        )
        identity.accounts.set_member(DEFAULT_ACCOUNT, email, Role.OWNER, "first start")
        secret = identity.sign_in.sign_in(email, form.get("password", ""))
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
    resources = resources_of(request.app)
    try:
        viewer.actor.require(viewer.account, Role.ADMIN)
        name = form.get("name", "").strip() or "first"
        issued = resources.identity.issued_keys.issue(viewer.account, name, KeyTerms(), viewer.actor.name)
    except RequestError as error:
        return _page(request, viewer, error.status, error.message)
    from_thread.run(resources.follower.refresh)
    return _page(request, viewer, issued=issued)


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
        needs_owner=is_first_start(resources),
        payers=sorted({lane.account for lane in lanes}),
        n_lanes=len(lanes),
        budgets=[line for line in read_budgets(resources, viewer.account) if line.cap_nusd is not None],
        least_password=LEAST_PASSWORD_CHARACTERS,
        problem=problem,
        issued=issued,
    )
