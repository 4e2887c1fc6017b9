"""Virtual keys: the keys that we issue."""

from datetime import timedelta
from typing import Any

from fastapi import Request

from serve.errors import ForbiddenError
from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes, allowed, listed, set_budget, use_now
from serve.http.admin.shapes import NewVirtualKey, Rotation, VirtualKeyChange, virtual_key_shape
from serve.identity.issued_keys import KeyTerms
from serve.identity.roles import Actor, Role
from serve.money.scopes import virtual_key_scope

routes = admin_routes("virtual keys")
_ROLE_NEEDED = {"inference": Role.ADMIN, "read": Role.ADMIN, "admin": Role.ADMIN, "owner": Role.OWNER}


@routes.get("/accounts/{account}/virtual-keys", summary="List virtual keys", response_model=None)
def list_keys(account: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return an account's keys, revoked ones too, by name; those of the settings are not among them."""
    resources = allowed(request, actor, account, Role.VIEWER)
    return listed([virtual_key_shape(key) for key in resources.identity.issued_keys.repository.of_account(account)])


@routes.post("/accounts/{account}/virtual-keys", status_code=201, summary="Issue a virtual key", response_model=None)
def issue_key(account: str, body: NewVirtualKey, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Issue a key; `key` in the answer is its secret, shown this once."""
    resources = allowed(request, actor, account, Role.ADMIN)
    check_scopes(account, body.scopes, actor)
    told = body.model_dump(exclude={"name", "monthly_budget_usd", "is_test"})
    issued = resources.identity.issued_keys.issue(
        account, body.name, KeyTerms(**told), actor.name, is_test=body.is_test
    )
    set_budget(resources, account, virtual_key_scope(issued.key.virtual_key_id), body.monthly_budget_usd, actor)
    use_now(resources)
    return virtual_key_shape(issued.key, issued.secret)


@routes.patch(
    "/accounts/{account}/virtual-keys/{name}", summary="Change what a virtual key may do", response_model=None
)
def change_key(account: str, name: str, body: VirtualKeyChange, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Change a key's terms."""
    resources = allowed(request, actor, account, Role.ADMIN)
    keys = resources.identity.issued_keys
    changed = body.model_dump(exclude_unset=True)
    check_scopes(account, (*keys.repository.find(account, name).scopes, *changed.get("scopes", ())), actor)
    if changed:
        keys.change(account, name, actor.name, **changed)
        use_now(resources)
    return virtual_key_shape(keys.repository.find(account, name))


@routes.post(
    "/accounts/{account}/virtual-keys/{name}/rotate", summary="Issue a new secret for a key", response_model=None
)
def rotate_key(account: str, name: str, body: Rotation, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Issue a new secret, shown this once; the old one is good for `overlap_s` more."""
    resources = allowed(request, actor, account, Role.ADMIN)
    keys = resources.identity.issued_keys
    check_scopes(account, keys.repository.find(account, name).scopes, actor)
    issued = keys.rotate(account, name, timedelta(seconds=body.overlap_s), actor.name)
    use_now(resources)
    return virtual_key_shape(issued.key, issued.secret)


@routes.delete("/accounts/{account}/virtual-keys/{name}", summary="Revoke a virtual key", response_model=None)
def revoke_key(account: str, name: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Refuse a key from now on; its name is not given again, so that its past stays its own."""
    resources = allowed(request, actor, account, Role.ADMIN)
    resources.identity.issued_keys.repository.revoke(account, name, actor.name)
    use_now(resources)
    return {"name": name, "is_revoked": True}


def check_scopes(account: str, scopes: tuple[str, ...], actor: Actor) -> None:
    """Nobody makes, or gets hold of, a key that may do more than they may.

    Raises:
        ForbiddenError: This would.
    """
    needed = max((_ROLE_NEEDED.get(scope, Role.ADMIN) for scope in scopes), default=Role.ADMIN)
    held = actor.role_in(account)
    if held is None or held < needed:
        raise ForbiddenError(
            f"a key with the scope owner is for owners to make; your role is {held.word if held else 'none'}"
        )
