"""Parts that all endpoints of the admin API use."""

from typing import Any

from fastapi import APIRouter, Request

from serve.gateway import ResourceSet, resources_of
from serve.http.openapi_responses import error_answers
from serve.identity.roles import Actor, Role

PREFIX = "/admin/v1"


def admin_routes(tag: str) -> APIRouter:
    """Return the routes of one kind of resource, which the OpenAPI document lists under `tag`."""
    return APIRouter(prefix=PREFIX, tags=[tag], responses=error_answers(400, 401, 403, 404))


def allowed(request: Request, actor: Actor, account: str, role: Role) -> ResourceSet:
    """Return the gateway's parts, after checking that the account exists and that the actor has the role in it.

    Raises:
        NotFoundError: There is no such account, or the actor is not in it.
        ForbiddenError: The actor's role there is too low.
    """
    resources = resources_of(request.app)
    actor.require(account, role)
    resources.identity.accounts.find(account)
    return resources


def listed(shapes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a list in the form in which the API returns lists."""
    return {"object": "list", "data": shapes}
