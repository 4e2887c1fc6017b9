"""The endpoint of the audit log."""

from typing import Annotated, Any

from fastapi import Query, Request

from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes, allowed, listed
from serve.http.admin.shapes import audit_shape
from serve.identity.roles import Role

routes = admin_routes("audit")


@routes.get("/accounts/{account}/audit", summary="List who changed what", response_model=None)
def list_entries(
    account: str,
    request: Request,
    actor: AskedBy,
    before: Annotated[
        int | None, Query(ge=0, lt=2**31, description="Only older entries: the smallest `number` of the last page.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> dict[str, Any]:
    """Return the audit entries of an account, the newest first."""
    resources = allowed(request, actor, account, Role.VIEWER)
    return listed([audit_shape(entry) for entry in resources.identity.audit.entries(account, before, limit)])
