"""The endpoints of monthly budgets."""

from typing import Annotated, Any

from fastapi import Query, Request

from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes, allowed, listed
from serve.http.admin.shapes import NewBudget, budget_shape
from serve.identity.roles import Role

routes = admin_routes("budgets")


@routes.get("/accounts/{account}/budgets", summary="List budgets and what was spent", response_model=None)
def list_budgets(account: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return the current month of every scope of the account that has a budget or spent money."""
    resources = allowed(request, actor, account, Role.VIEWER)
    return listed([budget_shape(state) for state in resources.desks.budgets.states(account)])


@routes.put("/accounts/{account}/budgets", summary="Set a budget", response_model=None)
def set_budget(account: str, body: NewBudget, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Set or change a budget; every worker follows within a second."""
    resources = allowed(request, actor, account, Role.ADMIN)
    return budget_shape(resources.desks.budgets.set(account, body.scope, body.monthly_usd, actor))


@routes.delete("/accounts/{account}/budgets", summary="Lift a budget", response_model=None)
def lift_budget(
    account: str, scope: Annotated[str, Query(max_length=200)], request: Request, actor: AskedBy
) -> dict[str, Any]:
    """Lift a budget; the record of what was spent stays."""
    resources = allowed(request, actor, account, Role.ADMIN)
    resources.desks.budgets.lift(account, scope, actor)
    return {"scope": scope, "is_lifted": True}
