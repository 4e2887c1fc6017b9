"""Monthly budgets."""

from typing import Annotated, Any

from fastapi import Query, Request

from serve.http.admin.actor import AskedBy
from serve.http.admin.common import account_budgets, admin_routes, allowed, listed
from serve.http.admin.shapes import NewBudget, budget_shape
from serve.identity.roles import Role

routes = admin_routes("budgets")


@routes.get("/accounts/{account}/budgets", summary="List budgets and what was spent", response_model=None)
def list_budgets(account: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return this month of everything in the account that has a budget or spent something."""
    resources = allowed(request, actor, account, Role.VIEWER)
    return listed([budget_shape(state) for state in account_budgets(resources).states(account)])


@routes.put("/accounts/{account}/budgets", summary="Set a budget", response_model=None)
def set_budget(account: str, body: NewBudget, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Set or change a budget; every worker holds to it within a second."""
    resources = allowed(request, actor, account, Role.ADMIN)
    return budget_shape(account_budgets(resources).set(account, body.scope, body.monthly_usd, actor))


@routes.delete("/accounts/{account}/budgets", summary="Lift a budget", response_model=None)
def lift_budget(
    account: str, scope: Annotated[str, Query(max_length=200)], request: Request, actor: AskedBy
) -> dict[str, Any]:
    """Lift a budget; what was spent stays written down."""
    resources = allowed(request, actor, account, Role.ADMIN)
    account_budgets(resources).lift(account, scope, actor)
    return {"scope": scope, "is_lifted": True}
