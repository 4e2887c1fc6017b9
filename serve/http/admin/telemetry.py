"""Deletes what was logged of an account."""

from typing import Any

from anyio import from_thread
from fastapi import Request

from serve.gateway import ResourceSet
from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes, allowed
from serve.http.admin.shapes import Forgetting, instant_text
from serve.identity.roles import Role
from serve.telemetry.erasure import Erased, TelemetryErasure

routes = admin_routes("accounts")


@routes.post(
    "/accounts/{account}/forget",
    summary="Delete what was logged of an account's requests (owners)",
    response_model=None,
)
def forget_account(account: str, body: Forgetting, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Delete prompts, answers, features and comments, or whole rows; what was spent stays in the ledger."""
    erased = forget(allowed(request, actor, account, Role.OWNER), account, actor.name, has_rows=body.rows)
    return {
        "account": account,
        "kept": "nothing" if body.rows else "none",
        "until": instant_text(erased.until),
        "n_attempts": erased.n_attempts,
    }


def forget(resources: ResourceSet, account: str, actor: str, *, has_rows: bool) -> Erased:
    """Delete, what still waits to be stored included; for a thread of its own."""
    from_thread.run(resources.telemetry.flush)
    return TelemetryErasure(resources.engine, resources.identity.audit).forget(account, actor, has_rows=has_rows)
