"""`/budgets`: every budget, what it may spend this month and has spent; and the forms that set and lift budgets."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect, render_page
from serve.dashboard.queries.budgets_query import read_budgets
from serve.dashboard.queries.requests_query import read_choices
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import Viewer, changing_viewer_of, directory_of, vectors_of, viewer_of
from serve.dashboard.views.budgets_view import KINDS
from serve.errors import RequestError
from serve.gateway import resources_of
from serve.money.period import month_of
from serve.money.usd_amount import usd_of_text

routes = APIRouter(include_in_schema=False)

_DONE = {
    "set": "The budget is set; the gateway follows within a second.",
    "lifted": "The budget is lifted; the record of what was spent stays.",
}


@routes.get("/budgets")
def list_budgets(request: Request) -> Response:
    """Show the budgets."""
    return _page(request, viewer_of(request), 200, "")


@routes.post("/budgets")
def set_budget(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Set or change a budget."""
    viewer = changing_viewer_of(request)
    check_form(request, viewer, form)
    try:
        usd = usd_of_text(form.get("usd", ""))
        resources_of(request.app).desks.budgets.set(viewer.account, _scope(form), usd, viewer.actor)
    except RequestError as error:
        return _page(request, viewer, error.status, error.message)
    return redirect("/start" if form.get("from") == "start" else "/budgets?done=set")


@routes.post("/budgets/lift")
def lift_budget(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Lift a budget."""
    viewer = changing_viewer_of(request)
    check_form(request, viewer, form)
    try:
        resources_of(request.app).desks.budgets.lift(viewer.account, _scope(form), viewer.actor)
    except RequestError as error:
        return _page(request, viewer, error.status, error.message)
    return redirect("/budgets?done=lifted")


def _scope(form: Form) -> str:
    return form.get("scope") or f"{form.get('kind', '')}:{form.get('name', '').strip()}"


def _page(request: Request, viewer: Viewer, status: int, problem: str) -> Response:
    resources, zone = resources_of(request.app), dashboard_of(request.app).time_zone
    lanes = [*directory_of(resources, viewer).table.lanes, *vectors_of(resources, viewer).table.lanes]
    used = read_choices(resources.engine, viewer.account)["key"]
    return render_page(
        request,
        viewer,
        "budgets.html",
        status,
        lines=read_budgets(resources, viewer.account),
        month=month_of(resources.clock.now(), zone),
        kinds={kind: label for kind, label in KINDS.items() if kind != "hosted" or viewer.actor.is_operator},
        names=sorted({viewer.account, *(lane.account for lane in lanes), *used}),
        problem=problem,
        done=_DONE.get(request.query_params.get("done", ""), ""),
    )
