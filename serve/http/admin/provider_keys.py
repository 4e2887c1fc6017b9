"""The endpoints of provider keys: stored, tested, switched off and deleted; never read."""

from typing import Any

from fastapi import Request

from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes, allowed, listed
from serve.http.admin.shapes import NewProviderKey, ProviderKeyChange, provider_key_shape
from serve.identity.roles import Role

routes = admin_routes("provider keys")
_ONE = "/accounts/{account}/provider-keys/{provider}/{name}"


@routes.get("/accounts/{account}/provider-keys", summary="List provider keys", response_model=None)
def list_keys(account: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return an account's stored keys; the keys of the environment and of the settings are not among them."""
    resources = allowed(request, actor, account, Role.VIEWER)
    return listed([provider_key_shape(key) for key in resources.identity.provider_keys.repository.of_account(account)])


@routes.post("/accounts/{account}/provider-keys", status_code=201, summary="Store a provider key", response_model=None)
def store_key(account: str, body: NewProviderKey, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Seal and store a key. Its lanes answer from now on."""
    key = allowed(request, actor, account, Role.ADMIN).desks.provider_keys.store(
        account,
        body.provider,
        body.name,
        body.key.get_secret_value(),
        actor,
        organisation=body.organisation,
        base_url=body.base_url,
        region=body.region,
        budget_usd=body.monthly_budget_usd,
    )
    return provider_key_shape(key)


@routes.patch(_ONE, summary="Change, switch off or replace a provider key", response_model=None)
def change_key(
    account: str, provider: str, name: str, body: ProviderKeyChange, request: Request, actor: AskedBy
) -> dict[str, Any]:
    """Change a key. Its address stays: a key is not sent where its changer wants it."""
    desk = allowed(request, actor, account, Role.ADMIN).desks.provider_keys
    changed = body.model_dump(exclude_unset=True, exclude={"key"})
    changed = {field: value for field, value in changed.items() if value is not None or field != "is_enabled"}
    secret = None if body.key is None else body.key.get_secret_value()
    return provider_key_shape(desk.change(account, provider, name, actor, secret=secret, **changed))


@routes.post(_ONE + "/test", summary="Ask the provider whether it takes the key", response_model=None)
def test_key(account: str, provider: str, name: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Test a key by a call that costs nothing, and note the result."""
    resources = allowed(request, actor, account, Role.ADMIN)
    resources.desks.provider_keys.test(account, provider, name, actor)
    return provider_key_shape(resources.identity.provider_keys.repository.find(account, provider, name).key)


@routes.delete(_ONE, summary="Delete a provider key", response_model=None)
def delete_key(account: str, provider: str, name: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Delete a key for good."""
    allowed(request, actor, account, Role.ADMIN).desks.provider_keys.remove(account, provider, name, actor)
    return {"provider": provider, "name": name, "is_deleted": True}
