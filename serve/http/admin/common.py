"""What the admin API's endpoints share."""

from decimal import Decimal
from typing import Any

from anyio import from_thread
from fastapi import APIRouter, Request

from serve.gateway import ResourceSet, resources_of
from serve.http.openapi import error_answers
from serve.identity.roles import Actor, Role
from serve.money.account_budgets import AccountBudgets

PREFIX = "/admin/v1"


def admin_routes(tag: str) -> APIRouter:
    """Return a router for one kind of thing."""
    return APIRouter(prefix=PREFIX, tags=[tag], responses=error_answers(400, 401, 403, 404))


def allowed(request: Request, actor: Actor, account: str, role: Role) -> ResourceSet:
    """Return the gateway's parts, for somebody who has this role in an account that exists.

    Raises:
        NotFoundError: There is no such account, or the actor is not in it.
        ForbiddenError: Their role there is a lesser one.
    """
    resources = resources_of(request.app)
    actor.require(account, role)
    resources.identity.accounts.find(account)
    return resources


def use_now(resources: ResourceSet) -> None:
    """Make this process use what was changed before the caller reads that it was; other workers follow within a second."""
    from_thread.run(resources.follower.refresh)


def account_budgets(resources: ResourceSet) -> AccountBudgets:
    """Return the budgets of accounts."""
    identity = resources.identity
    return AccountBudgets(resources.budgets.repository, identity.accounts, identity.audit, resources.clock.now)


def set_budget(resources: ResourceSet, account: str, scope: str, usd: Decimal | None, actor: Actor) -> None:
    """Set the budget that a new key comes with, if it comes with one."""
    if usd is not None:
        account_budgets(resources).set(account, scope, usd, actor)


def listed(things: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a list as the API gives lists."""
    return {"object": "list", "data": things}
