"""`/budgets`: what every budget may spend this month and has spent; set and lift."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from serve.dashboard.budgets_query import read_budgets
from serve.dashboard.budgets_view import KINDS, visible_scopes
from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect, render_page
from serve.dashboard.page_errors import PageError
from serve.dashboard.requests_query import read_choices
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import Viewer, changing_viewer_of, viewer_of
from serve.errors import ConfigurationError
from serve.money.budget import BudgetRule
from serve.money.configured_budgets import nusd_of_usd
from serve.money.period import month_of
from serve.resource_set import resources_of
from serve.storage.budget_repository import BudgetRepository

routes = APIRouter(include_in_schema=False)

_LONGEST_NAME = 200
_DONE = {
    "set": "The budget is set; the gateway follows within a second.",
    "lifted": "The budget is lifted; what was spent stays written down.",
}


@routes.get("/budgets")
def list_budgets(request: Request) -> Response:
    """Show the budgets."""
    return _page(request, viewer_of(request), 200, "")


@routes.post("/budgets")
def set_budget(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Set or change one."""
    viewer = changing_viewer_of(request)
    check_form(request, viewer, form)
    scope = _scope(request, viewer, form)
    amount = form.get("usd", "").strip().removeprefix("$").replace(",", "")
    try:
        cap_nusd = nusd_of_usd(scope, Decimal(amount))
    except InvalidOperation:
        return _page(request, viewer, 400, f"{amount!r} is no amount: write 60 or 12.50.")
    except ConfigurationError as error:
        return _page(request, viewer, 400, str(error))
    rule = BudgetRule(scope, cap_nusd, dashboard_of(request.app).time_zone)
    BudgetRepository(resources_of(request.app).engine).set_rule(rule)
    return redirect("/budgets?done=set")


@routes.post("/budgets/lift")
def lift_budget(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Lift one."""
    viewer = changing_viewer_of(request)
    check_form(request, viewer, form)
    BudgetRepository(resources_of(request.app).engine).remove_rule(_scope(request, viewer, form))
    return redirect("/budgets?done=lifted")


def _scope(request: Request, viewer: Viewer, form: Form) -> str:
    """Return the scope that a form means, if it is one of the viewer's.

    Raises:
        PageError: It is no scope, or somebody else's.
    """
    scope = form.get("scope") or f"{form.get('kind', '')}:{form.get('name', '').strip()}"
    kind, _, name = scope.partition(":")
    if kind not in KINDS or not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise PageError(400, "That is no budget", "Choose a kind, and name the account, provider key or virtual key.")
    virtual_keys = read_choices(resources_of(request.app).engine, viewer.account)["key"]
    if not visible_scopes(viewer.account, [scope], virtual_keys):
        raise PageError(403, "That budget is not yours", "An account changes its own budget and those of its virtual keys.")
    return scope


def _page(request: Request, viewer: Viewer, status: int, problem: str) -> Response:
    resources, zone = resources_of(request.app), dashboard_of(request.app).time_zone
    now = resources.clock.now()
    lanes = [*resources.directory.table.lanes, *resources.vectors.directory.table.lanes]
    return render_page(
        request,
        viewer,
        "budgets.html",
        status,
        lines=read_budgets(resources.engine, viewer.account, now, zone),
        month=month_of(now, zone),
        kinds=KINDS,
        names=sorted({viewer.account, *(lane.account for lane in lanes), *read_choices(resources.engine, viewer.account)["key"]}),
        problem=problem,
        done=_DONE.get(request.query_params.get("done", ""), ""),
    )
