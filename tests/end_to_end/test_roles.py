"""Every route of the admin API with every role and with none; no key of one account reaches another's rows."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fakes.gateway_thread import GatewayThread

from serve.identity.virtual_keys import issue_virtual_key

OPERATOR = issue_virtual_key()
ROLES = ("nobody", "inference", "viewer", "admin", "owner", "stranger", "operator")
CANARY = "sk-ant-canary-0123456789"

# Who may, at least; what is asked for need not succeed, it only must not be refused for who asks.
LEAST: dict[tuple[str, str], str] = {
    ("get", "/admin/v1/accounts"): "anyone",
    ("post", "/admin/v1/accounts"): "operator",
    ("get", "/admin/v1/accounts/{account}"): "viewer",
    ("patch", "/admin/v1/accounts/{account}"): "owner",
    ("post", "/admin/v1/accounts/{account}/forget"): "owner",
    ("get", "/admin/v1/accounts/{account}/members"): "viewer",
    ("put", "/admin/v1/accounts/{account}/members"): "owner",
    ("delete", "/admin/v1/accounts/{account}/members/{email}"): "owner",
    ("get", "/admin/v1/accounts/{account}/virtual-keys"): "viewer",
    ("post", "/admin/v1/accounts/{account}/virtual-keys"): "admin",
    ("patch", "/admin/v1/accounts/{account}/virtual-keys/{name}"): "admin",
    ("post", "/admin/v1/accounts/{account}/virtual-keys/{name}/rotate"): "admin",
    ("delete", "/admin/v1/accounts/{account}/virtual-keys/{name}"): "admin",
    ("get", "/admin/v1/accounts/{account}/provider-keys"): "viewer",
    ("post", "/admin/v1/accounts/{account}/provider-keys"): "admin",
    ("patch", "/admin/v1/accounts/{account}/provider-keys/{provider}/{name}"): "admin",
    ("post", "/admin/v1/accounts/{account}/provider-keys/{provider}/{name}/test"): "admin",
    ("delete", "/admin/v1/accounts/{account}/provider-keys/{provider}/{name}"): "admin",
    ("get", "/admin/v1/accounts/{account}/budgets"): "viewer",
    ("put", "/admin/v1/accounts/{account}/budgets"): "admin",
    ("delete", "/admin/v1/accounts/{account}/budgets"): "admin",
    ("get", "/admin/v1/bundles"): "operator",
    ("get", "/admin/v1/bundles/{name}"): "operator",
    ("post", "/admin/v1/bundles/{name}/promote"): "operator",
    ("post", "/admin/v1/bundles/{name}/canary"): "operator",
    ("post", "/admin/v1/bundles/{name}/shadow"): "operator",
    ("post", "/admin/v1/bundles/rollback"): "operator",
    ("post", "/admin/v1/bundles/stop"): "operator",
    ("get", "/admin/v1/accounts/{account}/usage"): "viewer",
    ("get", "/admin/v1/accounts/{account}/audit"): "viewer",
}
_RANK = {"viewer": 1, "admin": 2, "owner": 3, "operator": 4}
_BODIES: dict[str, Any] = {
    "accounts": {"account": "another"},
    "forget": {"rows": False},
    "members": {"email": "no@example.com", "role": "viewer"},
    "virtual-keys": {"name": "victim"},
    "provider-keys": {"key": CANARY, "base_url": "https://127.0.0.1:1/v1"},
    "budgets": {"scope": "account:nobody", "monthly_usd": "1"},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    keys = [{"name": "operator", "key": OPERATOR, "scopes": ["owner"]}]
    with GatewayThread(tmp_path_factory.mktemp("roles"), virtual_keys=keys, sandbox="on", sandbox_pace=0.0) as running:
        yield running


@pytest.fixture(scope="module")
def key_of(gateway: GatewayThread) -> dict[str, str | None]:
    """Keys by role in the account `acme`; the stranger owns another account."""
    base, headers = f"{gateway.url}/admin/v1/accounts", {"authorization": f"Bearer {OPERATOR}"}
    keys: dict[str, str | None] = {"nobody": None, "operator": OPERATOR}
    for account in ("acme", "other"):
        httpx.post(base, json={"account": account}, headers=headers).raise_for_status()
    issued = (
        ("acme", "inference", "inference"),
        ("acme", "viewer", "read"),
        ("acme", "admin", "admin"),
        ("acme", "owner", "owner"),
        ("other", "stranger", "owner"),
    )
    for account, role, scope in issued:
        answer = httpx.post(f"{base}/{account}/virtual-keys", json={"name": role, "scopes": [scope]}, headers=headers)
        keys[role] = answer.json()["key"]
    body = {"key": CANARY, "base_url": "https://127.0.0.1:1/v1"}
    httpx.post(f"{base}/acme/provider-keys", json=body, headers=headers).raise_for_status()
    return keys


def ask(gateway: GatewayThread, key: str | None, method: str, path: str, **names: str) -> httpx.Response:
    filled = path.format(**{"account": "acme", "name": "missing", "provider": "anthropic", "email": "a@b.c", **names})
    body = next((_BODIES[part] for part in reversed(path.split("/")) if part in _BODIES), {})
    if method == "patch" or path.endswith(("/rotate", "/test")):
        body = {}
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    query = {"scope": "account:nobody"} if method == "delete" else None
    sent = None if method in ("get", "delete") else body
    return httpx.request(
        method, f"{gateway.url}{filled}", json=sent, params=query, headers=headers, timeout=30, follow_redirects=True
    )


def test_the_table_names_every_route(gateway: GatewayThread) -> None:
    document = httpx.get(f"{gateway.url}/openapi.json").json()
    routes = {
        (method, path)
        for path, methods in document["paths"].items()
        if path.startswith("/admin/")
        for method in methods
    }
    assert routes == LEAST.keys()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path"), LEAST)
def test_a_route_lets_in_whom_it_should_and_nobody_else(
    gateway: GatewayThread, key_of: dict[str, str | None], method: str, path: str, role: str
) -> None:
    answer = ask(gateway, key_of[role], method, path)
    least = LEAST[method, path]
    if role == "nobody":
        assert answer.status_code == 401
    elif role == "inference":
        assert answer.status_code == 403
    elif least == "anyone":
        assert answer.status_code == 200
    elif least == "operator":
        assert answer.status_code in ((200, 201, 400, 404, 409) if role == "operator" else (403,))
    elif role == "stranger":
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
        assert "'acme'" in answer.json()["error"]["message"]
    elif _RANK[role] < _RANK[least]:
        assert answer.status_code == 403
    else:
        assert answer.status_code not in (401, 403, 422, 500)
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    "account", ["acme", "default", "ACME", "acme%2F", "other%2F..%2Facme", "nowhere", " acme", "acme%00"]
)
def test_a_key_of_one_account_never_reaches_anothers_rows(
    gateway: GatewayThread, key_of: dict[str, str | None], account: str
) -> None:
    for method, path in LEAST:
        if "{account}" in path:
            answer = ask(gateway, key_of["stranger"], method, path, account=account, name="main")
            assert answer.status_code in (400, 404, 405), (method, path)
            for word in ("canary", "viewer", "owner", "last_four"):
                assert word not in answer.text.replace("'owner'", ""), (method, path)


def test_each_sees_only_their_own_accounts(gateway: GatewayThread, key_of: dict[str, str | None]) -> None:
    def seen(role: str) -> set[str]:
        return {
            account["account"] for account in ask(gateway, key_of[role], "get", "/admin/v1/accounts").json()["data"]
        }

    assert (seen("viewer"), seen("stranger")) == ({"acme"}, {"other"})
    assert {"acme", "other", "default"} <= seen("operator")
