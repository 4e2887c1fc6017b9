"""The endpoints of virtual keys: the keys that the gateway issues."""

from datetime import timedelta
from typing import Any

from fastapi import Request

from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes, allowed, listed
from serve.http.admin.shapes import NewVirtualKey, Rotation, VirtualKeyChange, virtual_key_shape
from serve.identity.roles import Role
from serve.identity.virtual_key_desk import KeyTerms

routes = admin_routes("virtual keys")


@routes.get("/accounts/{account}/virtual-keys", summary="List virtual keys", response_model=None)
def list_keys(account: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return an account's stored keys, revoked ones too, by name; the keys of the settings are not among them."""
    resources = allowed(request, actor, account, Role.VIEWER)
    return listed([virtual_key_shape(key) for key in resources.identity.virtual_keys.of_account(account)])


@routes.post("/accounts/{account}/virtual-keys", status_code=201, summary="Issue a virtual key", response_model=None)
def issue_key(account: str, body: NewVirtualKey, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Issue a key. `key` in the answer is its secret, which is shown this once."""
    desk = allowed(request, actor, account, Role.ADMIN).desks.virtual_keys
    terms = KeyTerms(**body.model_dump(exclude={"name", "monthly_budget_usd", "is_test"}))
    issued = desk.issue(account, body.name, terms, actor, budget_usd=body.monthly_budget_usd, is_test=body.is_test)
    return virtual_key_shape(issued.key, issued.secret)


@routes.patch(
    "/accounts/{account}/virtual-keys/{name}", summary="Change what a virtual key may do", response_model=None
)
def change_key(account: str, name: str, body: VirtualKeyChange, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Change a key's terms."""
    desk = allowed(request, actor, account, Role.ADMIN).desks.virtual_keys
    return virtual_key_shape(desk.change(account, name, actor, **body.model_dump(exclude_unset=True)))


@routes.post(
    "/accounts/{account}/virtual-keys/{name}/rotate", summary="Issue a new secret for a key", response_model=None
)
def rotate_key(account: str, name: str, body: Rotation, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Issue a new secret, which is shown this once; the old one is accepted for `overlap_s` more."""
    desk = allowed(request, actor, account, Role.ADMIN).desks.virtual_keys
    issued = desk.rotate(account, name, timedelta(seconds=body.overlap_s), actor)
    return virtual_key_shape(issued.key, issued.secret)


@routes.delete("/accounts/{account}/virtual-keys/{name}", summary="Revoke a virtual key", response_model=None)
def revoke_key(account: str, name: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Refuse a key from now on. Its name is not given again, so that its history stays its own."""
    allowed(request, actor, account, Role.ADMIN).desks.virtual_keys.revoke(account, name, actor)
    return {"name": name, "is_revoked": True}
