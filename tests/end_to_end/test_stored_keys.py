"""Keys that are stored while the gateway runs: virtual keys let callers in, provider keys bring lanes."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider, refuse

from serve.identity.virtual_keys import issue_virtual_key

OWNER = issue_virtual_key()
OWNERS = [{"name": "operator", "key": OWNER, "scopes": ["owner", "inference"]}]
MESSAGES = [{"role": "user", "content": "What is 17 * 23?"}]
MODEL = {
    "upstream_model": "llama",
    "vendor_model": "meta/llama",
    "input_usd_per_mtok": "0.5",
    "output_usd_per_mtok": "1.5",
}
PROVIDER_KEY = "sk-or-v1-canary0123456789abcdef"


class Admin:
    """The admin API under one key, for one account."""

    def __init__(self, gateway: GatewayThread, key: str | None, account: str = "default") -> None:
        self.base = f"{gateway.url}/admin/v1"
        self.account = f"{self.base}/accounts/{account}"
        self.headers = {} if key is None else {"authorization": f"Bearer {key}"}

    def call(self, method: str, path: str, status: int, body: Any = None) -> Any:
        answer = httpx.request(method, f"{self.account}{path}", json=body, headers=self.headers, timeout=30)
        assert answer.status_code == status, answer.text
        return answer.json()

    def issue(self, name: str, **terms: Any) -> str:
        secret: str = self.call("POST", "/virtual-keys", 201, {"name": name, **terms})["key"]
        return secret


def open_account(gateway: GatewayThread, account: str, **fields: Any) -> Admin:
    operator = Admin(gateway, OWNER)
    answer = httpx.post(f"{operator.base}/accounts", json={"account": account, **fields}, headers=operator.headers)
    assert answer.status_code == 201, answer.text
    return Admin(gateway, OWNER, account)


def ask(gateway: GatewayThread, key: str | None, **fields: Any) -> httpx.Response:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    body = {"model": "smart-route", "messages": MESSAGES, "max_tokens": 10, **fields}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=30)


def code_of(answer: httpx.Response) -> str:
    code: str = answer.json()["error"]["code"]
    return code


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, provider: ScriptedProvider) -> Iterator[GatewayThread]:
    servers = [{"id": "box", "base_url": provider.base_url, "models": [MODEL], "is_hosted": True}]
    with GatewayThread(tmp_path, virtual_keys=OWNERS, servers=servers, hosted_markup="1.2") as running:
        yield running


def test_an_issued_key_lets_its_holder_in_until_it_is_revoked_and_is_shown_once(gateway: GatewayThread) -> None:
    admin = Admin(gateway, OWNER)
    secret = admin.issue("laptop", tags=["team-a"])
    assert ask(gateway, secret).status_code == 200
    [listed] = admin.call("GET", "/virtual-keys", 200)["data"]
    assert secret not in json.dumps(listed)
    assert listed["shown"] == f"{secret[:12]}…{secret[-4:]}"
    [attempt] = gateway.attempts()
    assert (attempt.virtual_key_id, attempt.tags) == ("laptop", ("team-a",))
    admin.call("DELETE", "/virtual-keys/laptop", 200)
    assert ask(gateway, secret).status_code == 401
    admin.call("DELETE", "/virtual-keys/laptop", 404)
    admin.call("POST", "/virtual-keys", 400, {"name": "laptop"})  # a name is never given twice


def test_a_rotated_key_keeps_its_old_secret_for_the_overlap_and_no_longer(gateway: GatewayThread) -> None:
    admin = Admin(gateway, OWNER)
    old = admin.issue("ci")
    new = admin.call("POST", "/virtual-keys/ci/rotate", 200, {"overlap_s": 600})["key"]
    assert [ask(gateway, key).status_code for key in (old, new)] == [200, 200]
    newest = admin.call("POST", "/virtual-keys/ci/rotate", 200, {"overlap_s": 0})["key"]
    assert [ask(gateway, key).status_code for key in (old, new, newest)] == [401, 401, 200]


def test_a_key_for_some_lanes_is_refused_on_others_and_sees_only_its_own(gateway: GatewayThread) -> None:
    admin = Admin(gateway, OWNER)
    other, own = admin.issue("other", lanes=["anthropic/*"]), admin.issue("own", lanes=["meta/*"])
    refused = ask(gateway, other)
    assert (refused.status_code, code_of(refused)) == (403, "forbidden")
    pinned = ask(gateway, other, model="box/llama")  # a pin is no way round it
    assert pinned.status_code == 403
    assert ask(gateway, own).status_code == 200
    for key, count in ((other, 1), (own, 2)):  # smart-route, and the lanes' models
        models = httpx.get(f"{gateway.url}/v1/models", headers={"authorization": f"Bearer {key}"}).json()
        assert len(models["data"]) == count


def test_a_key_for_reading_answers_no_prompt_and_an_inference_key_reads_nothing(gateway: GatewayThread) -> None:
    admin = Admin(gateway, OWNER)
    reader, asker = admin.issue("reader", scopes=["read"]), admin.issue("asker")
    assert code_of(ask(gateway, reader)) == "forbidden"
    Admin(gateway, reader).call("GET", "/virtual-keys", 200)
    Admin(gateway, reader).call("POST", "/virtual-keys", 403, {"name": "more"})
    Admin(gateway, asker).call("GET", "/virtual-keys", 403)


def test_nobody_makes_a_key_that_may_do_more_than_they_may(gateway: GatewayThread) -> None:
    admin = Admin(gateway, Admin(gateway, OWNER).issue("boss", scopes=["admin"]))
    admin.issue("fine", scopes=["admin"])
    admin.call("POST", "/virtual-keys", 403, {"name": "crown", "scopes": ["owner"]})
    Admin(gateway, OWNER).issue("crown", scopes=["owner"])
    admin.call("POST", "/virtual-keys/crown/rotate", 403, {})
    admin.call("PATCH", "/virtual-keys/crown", 403, {"tags": ["mine"]})


def test_a_stored_provider_key_brings_lanes_with_a_budget_of_their_own(gateway: GatewayThread, tmp_path: Path) -> None:
    acme = open_account(gateway, "acme", hosted_lanes="never")
    key = acme.issue("ci")
    nothing = ask(gateway, key)
    assert (nothing.status_code, code_of(nothing)) == (400, "no_lane")
    with ScriptedProvider() as upstream:
        body = {"key": PROVIDER_KEY, "name": "work", "base_url": upstream.base_url, "monthly_budget_usd": "60"}
        stored = acme.call("POST", "/provider-keys", 201, body)
        assert (stored["provider"], stored["last_four"], stored["scope"]) == (
            "openrouter",
            "cdef",
            "provider_key:acme/openrouter@work",
        )
        answer = ask(gateway, key)
        assert answer.status_code == 200
        assert answer.headers["x-llmdeal-lane"].startswith("openrouter@work/")
        assert {name.lower(): value for name, value in upstream.headers[-1].items()}[
            "authorization"
        ] == f"Bearer {PROVIDER_KEY}"
        assert (
            ask(gateway, OWNER).headers["x-llmdeal-lane"] == "box/llama"
        )  # another account's key is not the operator's
        budgets = {budget["scope"]: budget for budget in acme.call("GET", "/budgets", 200)["data"]}
        assert budgets["provider_key:acme/openrouter@work"]["monthly_usd"] == "60.000000000"
        acme.call("PATCH", "/provider-keys/openrouter/work", 200, {"is_enabled": False})
        assert code_of(ask(gateway, key)) == "no_lane"
        acme.call("PATCH", "/provider-keys/openrouter/work", 200, {"is_enabled": True})
        assert ask(gateway, key).status_code == 200
        acme.call("DELETE", "/provider-keys/openrouter/work", 200)
        assert code_of(ask(gateway, key)) == "no_lane"
    assert_nowhere(tmp_path, PROVIDER_KEY, key)


def test_a_provider_key_is_tested_where_it_would_be_used(gateway: GatewayThread) -> None:
    admin = Admin(gateway, OWNER)
    body = {"key": PROVIDER_KEY, "name": "gone", "base_url": "http://127.0.0.1:1/v1"}
    admin.call("POST", "/provider-keys", 201, body)
    tested = admin.call("POST", "/provider-keys/openrouter/gone/test", 200)
    assert tested["test_outcome"].startswith("unknown: the provider could not be reached")


def test_a_provider_key_keeps_its_secret_if_another_part_of_the_change_is_refused(gateway: GatewayThread) -> None:
    admin = Admin(gateway, OWNER)
    admin.call("POST", "/provider-keys", 201, {"key": PROVIDER_KEY, "base_url": "http://127.0.0.1:1/v1"})
    [before] = admin.call("GET", "/provider-keys", 200)["data"]
    body = {"key": PROVIDER_KEY + "2", "organisation": "Not A Name"}
    admin.call("PATCH", "/provider-keys/openrouter/main", 400, body)
    assert admin.call("GET", "/provider-keys", 200)["data"] == [before]
    assert [entry["action"] for entry in admin.call("GET", "/audit", 200)["data"]] == ["provider_key.create"]


def test_hosted_lanes_cost_more_and_are_the_last_resort(gateway: GatewayThread, provider: ScriptedProvider) -> None:
    acme = open_account(gateway, "acme")  # hosted lanes when its own are spent
    key = acme.issue("ci")
    own_cost = ask(gateway, OWNER).json()["usage"]["cost"]
    answer = ask(gateway, key)
    assert answer.headers["x-llmdeal-lane"] == "box/llama"
    assert answer.json()["usage"]["cost"] == pytest.approx(1.2 * own_cost)
    with ScriptedProvider() as upstream:
        acme.call("POST", "/provider-keys", 201, {"key": PROVIDER_KEY, "base_url": upstream.base_url})
        assert ask(gateway, key).headers["x-llmdeal-lane"].startswith("openrouter@main/")  # more expensive, but its own
        acme.call("PUT", "/budgets", 200, {"scope": "provider_key:acme/openrouter@main", "monthly_usd": "0"})
        wait_for_budgets()
        assert ask(gateway, key).headers["x-llmdeal-lane"] == "box/llama"
    acme.call("PUT", "/budgets", 200, {"scope": "hosted:acme", "monthly_usd": "0"})
    wait_for_budgets()
    refused = ask(gateway, key)
    assert (refused.status_code, code_of(refused)) == (402, "budget_spent")


def test_what_one_account_learns_of_a_hosted_lane_rests_it_for_all(
    gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    keys = [open_account(gateway, name).issue("ci") for name in ("acme", "other")]
    provider.script = [refuse(429, headers={"retry-after": "600"})]
    assert ask(gateway, keys[0]).status_code in (429, 502)
    n_asked = len(provider.requests)
    for key in (*keys, OWNER):
        refused = ask(gateway, key)
        assert (refused.status_code, code_of(refused)) == (503, "all_lanes_cooling")
        assert 500 < int(refused.headers["retry-after"]) <= 601
    assert len(provider.requests) == n_asked


def test_one_accounts_budget_or_name_is_nothing_to_another(gateway: GatewayThread) -> None:
    acme, other = open_account(gateway, "acme"), open_account(gateway, "other")
    boss = Admin(gateway, acme.issue("boss", scopes=["admin"]), "acme")
    same_name = other.issue("boss")
    for scope in (
        "account:other",
        "virtual_key:other/boss",
        "virtual_key:operator",
        "hosted:other",
        "account:default",
        "x",
        "account:",
    ):
        boss.call("PUT", "/budgets", 400, {"scope": scope, "monthly_usd": "1"})
    boss.call("PUT", "/budgets", 403, {"scope": "hosted:acme", "monthly_usd": "100"})  # that is the operator's to give
    boss.call("PUT", "/budgets", 200, {"scope": "virtual_key:acme/boss", "monthly_usd": "0"})
    wait_for_budgets()
    assert ask(gateway, same_name).status_code == 200


def test_feedback_on_another_accounts_request_is_not_taken(gateway: GatewayThread) -> None:
    acme, other = open_account(gateway, "acme"), open_account(gateway, "other")
    asked = ask(gateway, acme.issue("ci")).headers["x-llmdeal-request-id"]
    feedback = {"request_id": asked, "metric_name": "thumbs", "value": 1}
    for key, status in ((other.issue("ci"), 404), (acme.issue("app"), 202)):
        headers = {"authorization": f"Bearer {key}"}
        assert httpx.post(f"{gateway.url}/v1/feedback", json=feedback, headers=headers).status_code == status


def test_the_audit_log_says_who_did_what_and_no_secret(gateway: GatewayThread, tmp_path: Path) -> None:
    admin = Admin(gateway, OWNER)
    secret = admin.issue("ci")
    admin.call("POST", "/provider-keys", 201, {"key": PROVIDER_KEY, "base_url": "http://127.0.0.1:1/v1"})
    admin.call("PATCH", "/provider-keys/openrouter/main", 200, {"key": PROVIDER_KEY + "2"})
    admin.call("PUT", "/budgets", 200, {"scope": "account:default", "monthly_usd": "12.5"})
    entries = admin.call("GET", "/audit", 200)["data"]
    assert [entry["action"] for entry in entries] == [
        "budget.set",
        "provider_key.replace",
        "provider_key.create",
        "virtual_key.create",
    ]
    assert {entry["actor"] for entry in entries} == {"virtual_key:operator"}
    assert entries[0]["details"] == {"monthly_usd": "12.5"}
    assert_nowhere(tmp_path, PROVIDER_KEY, secret)


def test_what_is_stored_is_there_after_a_restart_and_not_without_the_master_key(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    settings = {"virtual_keys": OWNERS, "servers": [{"id": "box", "base_url": provider.base_url, "models": [MODEL]}]}
    with GatewayThread(tmp_path, **settings) as gateway:
        key = Admin(gateway, OWNER).issue("laptop")
    with GatewayThread(tmp_path, **settings) as gateway:
        assert ask(gateway, key).status_code == 200
    (tmp_path / "config" / "llmdeal" / "master.key").rename(tmp_path / "elsewhere.key")
    from serve.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match=r"master\.key"):
        GatewayThread(tmp_path, **settings)
    with GatewayThread(tmp_path, master_key_file=str(tmp_path / "elsewhere.key"), **settings) as gateway:
        assert ask(gateway, key).status_code == 200


def test_once_a_key_was_issued_nobody_is_let_in_without_one_even_after_it_was_revoked(tmp_path: Path) -> None:
    with GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0) as gateway:
        assert ask(gateway, None).status_code == 200  # on one's own machine, at first
        here = Admin(gateway, None)
        here.issue("laptop", scopes=["owner"])
        assert ask(gateway, None).status_code == 401
        here.call("GET", "/virtual-keys", 401)
        gateway.resources.identity.virtual_keys.revoke("default", "laptop", "test")
    with GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0) as gateway:
        assert ask(gateway, None).status_code == 401


def test_a_page_elsewhere_cannot_use_the_api_of_ones_own_machine(tmp_path: Path) -> None:
    with GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0) as gateway:
        url = f"{gateway.url}/admin/v1/accounts/default/virtual-keys"
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"host": "evil.example"}):
            answer = httpx.post(url, json={"name": "stolen"}, headers=headers)
            assert answer.status_code in (401, 403), headers
        assert httpx.get(url).json()["data"] == []


def wait_for_budgets() -> None:
    """Workers look at the caps every second."""
    import time

    time.sleep(1.3)


def assert_nowhere(folder: Path, *secrets: str) -> None:
    """Look for secrets in every file of a gateway."""
    with sqlite3.connect(folder / "llmdeal.db") as database:
        database.execute("PRAGMA wal_checkpoint")
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            for secret in secrets:
                assert secret.encode() not in content, file
