"""Provider keys: written, tested, switched off and deleted; never read."""

from typing import Any

from fastapi import Request

from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes, allowed, listed, set_budget, use_now
from serve.http.admin.shapes import NewProviderKey, ProviderKeyChange, provider_key_shape
from serve.identity.roles import Role
from serve.money.scopes import provider_key_scope

routes = admin_routes("provider keys")
_ONE = "/accounts/{account}/provider-keys/{provider}/{name}"


@routes.get("/accounts/{account}/provider-keys", summary="List provider keys", response_model=None)
def list_keys(account: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return an account's stored keys; those of the environment and of the settings are not among them."""
    resources = allowed(request, actor, account, Role.VIEWER)
    return listed([provider_key_shape(key) for key in resources.identity.provider_keys.repository.of_account(account)])


@routes.post("/accounts/{account}/provider-keys", status_code=201, summary="Store a provider key", response_model=None)
def store_key(account: str, body: NewProviderKey, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Seal and store a key; its lanes answer from now on."""
    resources = allowed(request, actor, account, Role.ADMIN)
    if body.base_url is not None and not body.base_url.startswith("https://"):
        actor.require_operator()  # the operator's own network is not everybody's to reach
    key = resources.identity.provider_keys.add(
        account,
        body.provider,
        body.name,
        body.key.get_secret_value(),
        actor.name,
        organisation=body.organisation,
        base_url=body.base_url,
        region=body.region,
    )
    set_budget(resources, account, provider_key_scope(key.payer), body.monthly_budget_usd, actor)
    use_now(resources)
    return provider_key_shape(key)


@routes.patch(_ONE, summary="Change, switch off or replace a provider key", response_model=None)
def change_key(
    account: str, provider: str, name: str, body: ProviderKeyChange, request: Request, actor: AskedBy
) -> dict[str, Any]:
    """Change a key. Its address stays, for a key must not be sent to whoever changes it."""
    resources = allowed(request, actor, account, Role.ADMIN)
    keys = resources.identity.provider_keys
    if body.key is not None:
        keys.replace(account, provider, name, body.key.get_secret_value(), actor.name)
    changed = body.model_dump(exclude_unset=True, exclude={"key"})
    changed = {field: value for field, value in changed.items() if value is not None or field != "is_enabled"}
    if changed:
        keys.change(account, provider, name, actor.name, **changed)
    use_now(resources)
    return provider_key_shape(keys.repository.find(account, provider, name).key)


@routes.post(_ONE + "/test", summary="Ask the provider whether it takes the key", response_model=None)
def test_key(account: str, provider: str, name: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Test a key by a call that costs nothing, and note what came of it."""
    resources = allowed(request, actor, account, Role.ADMIN)
    keys = resources.identity.provider_keys
    keys.test(account, provider, name)
    return provider_key_shape(keys.repository.find(account, provider, name).key)


@routes.delete(_ONE, summary="Delete a provider key", response_model=None)
def delete_key(account: str, provider: str, name: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Delete a key for good."""
    resources = allowed(request, actor, account, Role.ADMIN)
    resources.identity.provider_keys.repository.remove(account, provider, name, actor.name)
    use_now(resources)
    return {"provider": provider, "name": name, "is_deleted": True}
