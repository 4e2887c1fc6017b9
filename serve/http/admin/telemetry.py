"""The endpoint that deletes what was logged of an account."""

from typing import Any

from fastapi import Request

from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes, allowed
from serve.http.admin.shapes import Forgetting, instant_text
from serve.identity.roles import Role

routes = admin_routes("accounts")


@routes.post(
    "/accounts/{account}/forget",
    summary="Delete what was logged of an account's requests (owners)",
    response_model=None,
)
def forget_account(account: str, body: Forgetting, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Delete prompts, answers, features and comments, or whole rows; the ledger keeps what was spent."""
    erasure = allowed(request, actor, account, Role.OWNER).erasure
    erased = erasure.forget(account, actor.name, has_rows=body.rows)
    return {
        "account": account,
        "kept": "nothing" if body.rows else "none",
        "until": instant_text(erased.until),
        "n_attempts": erased.n_attempts,
    }
