"""Keys and members are changed through three doors: the admin API, the dashboard's forms and the command line.

Whatever the door and the database, the same call stores the same rows and the same audit entries, and a call that is
refused stores nothing.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from click.testing import Result
from fakes.gateway_thread import GatewayThread
from sqlalchemy import Engine, Table, select
from typer.testing import CliRunner

from serve.cli.main import build_command_line
from serve.identity.virtual_keys import issue_virtual_key
from serve.storage.identity_tables import (
    AUDIT_TABLE,
    MEMBER_TABLE,
    PERSON_TABLE,
    PROVIDER_KEY_TABLE,
    VIRTUAL_KEY_SECRET_TABLE,
    VIRTUAL_KEY_TABLE,
)
from serve.storage.money_tables import BUDGET_RULE_TABLE
from serve.vault.master_key import new_master_key

pytestmark = pytest.mark.slow

OPERATOR = issue_virtual_key()
MASTER_KEY = new_master_key()
PASSWORD = "correct horse battery"
SECRET = re.compile(r"ll_live_[0-9A-Za-z]{36}")
PROVIDER_KEY = "sk-or-v1-canary0123456789abcdef"
UNREACHABLE = "http://127.0.0.1:1/v1"
FINER_THAN_A_NANO_DOLLAR = "0.0000000001"
# Columns that no two calls share: secrets, hashes and times. The actor is compared apart.
APART = {"shown", "digest", "sealed", "password_hash", "created_by", "number", "actor"}


class Door(Protocol):
    """One way in. A method returns whether the call was accepted, or the secret that it showed."""

    actor: str

    def issue(self, name: str, usd: str) -> str | None: ...
    def rotate(self, name: str) -> str | None: ...
    def revoke(self, name: str) -> bool: ...
    def set_budget(self, scope: str, usd: str) -> bool: ...
    def lift_budget(self, scope: str) -> bool: ...
    def store_provider_key(self, name: str, usd: str) -> bool: ...
    def switch_provider_key(self, name: str, *, is_enabled: bool) -> bool: ...
    def remove_provider_key(self, name: str) -> bool: ...
    def set_member(self, email: str, role: str) -> bool: ...
    def remove_member(self, email: str) -> bool: ...


class AdminApi:
    """The admin API under the operator's key."""

    actor = "virtual_key:operator"

    def __init__(self, gateway: GatewayThread, folder: Path, url: str) -> None:
        self._url = f"{gateway.url}/admin/v1/accounts/default"

    def issue(self, name: str, usd: str) -> str | None:
        answer = self._call("POST", "/virtual-keys", {"name": name, "tags": ["a"], "monthly_budget_usd": usd})
        return answer.json().get("key")

    def rotate(self, name: str) -> str | None:
        return self._call("POST", f"/virtual-keys/{name}/rotate", {}).json().get("key")

    def revoke(self, name: str) -> bool:
        return self._call("DELETE", f"/virtual-keys/{name}").is_success

    def set_budget(self, scope: str, usd: str) -> bool:
        return self._call("PUT", "/budgets", {"scope": scope, "monthly_usd": usd}).is_success

    def lift_budget(self, scope: str) -> bool:
        return self._call("DELETE", f"/budgets?scope={scope}").is_success

    def store_provider_key(self, name: str, usd: str) -> bool:
        body = {"key": PROVIDER_KEY, "name": name, "base_url": UNREACHABLE, "monthly_budget_usd": usd}
        return self._call("POST", "/provider-keys", body).is_success

    def switch_provider_key(self, name: str, *, is_enabled: bool) -> bool:
        return self._call("PATCH", f"/provider-keys/openrouter/{name}", {"is_enabled": is_enabled}).is_success

    def remove_provider_key(self, name: str) -> bool:
        return self._call("DELETE", f"/provider-keys/openrouter/{name}").is_success

    def set_member(self, email: str, role: str) -> bool:
        return self._call("PUT", "/members", {"email": email, "role": role, "password": PASSWORD}).is_success

    def remove_member(self, email: str) -> bool:
        return self._call("DELETE", f"/members/{email}").is_success

    def _call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {OPERATOR}"}
        answer = httpx.request(method, f"{self._url}{path}", json=body, headers=headers, timeout=30)
        assert answer.status_code in (200, 201, 400), answer.text
        return answer


class Forms:
    """The dashboard's forms, in a browser that signed in with the operator's key."""

    actor = "virtual_key:operator"

    def __init__(self, gateway: GatewayThread, folder: Path, url: str) -> None:
        self.client = httpx.Client(base_url=gateway.url, timeout=30)
        self.client.post("/sign-in", data={"virtual_key": OPERATOR})

    def issue(self, name: str, usd: str) -> str | None:
        return self._secret("/keys/virtual", name=name, tags="a", usd=usd)

    def rotate(self, name: str) -> str | None:
        return self._secret("/keys/virtual/rotate", name=name)

    def revoke(self, name: str) -> bool:
        return self._send("/keys/virtual/revoke", name=name).is_redirect

    def set_budget(self, scope: str, usd: str) -> bool:
        return self._send("/budgets", scope=scope, usd=usd).is_redirect

    def lift_budget(self, scope: str) -> bool:
        return self._send("/budgets/lift", scope=scope).is_redirect

    def store_provider_key(self, name: str, usd: str) -> bool:
        return self._send("/keys/provider", key=PROVIDER_KEY, name=name, base_url=UNREACHABLE, usd=usd).is_redirect

    def switch_provider_key(self, name: str, *, is_enabled: bool) -> bool:
        to = "on" if is_enabled else "off"
        return self._send("/keys/provider/switch", provider="openrouter", name=name, to=to).is_redirect

    def remove_provider_key(self, name: str) -> bool:
        return self._send("/keys/provider/remove", provider="openrouter", name=name).is_redirect

    def set_member(self, email: str, role: str) -> bool:
        return self._send("/account/members", email=email, role=role, password=PASSWORD).is_redirect

    def remove_member(self, email: str) -> bool:
        return self._send("/account/members/remove", email=email).is_redirect

    def _secret(self, action: str, **fields: str) -> str | None:
        shown = SECRET.search(self._send(action, **fields).text)
        return None if shown is None else shown[0]

    def _send(self, action: str, **fields: str) -> httpx.Response:
        token = re.search(r'name="form_token" value="([^"]+)"', self.client.get("/keys").text)
        assert token
        answer = self.client.post(action, data={"form_token": token[1], **fields})
        assert answer.status_code in (200, 303, 400), answer.text
        return answer


class CommandLine:
    """The command line next to the gateway, on its database."""

    def __init__(self, gateway: GatewayThread, folder: Path, url: str) -> None:
        self._config = folder / "llmdeal.toml"
        self._config.write_text(f'database = "{url}"\n')
        self._environment = {"LLMDEAL_MASTER_KEY": MASTER_KEY, "HOME": str(folder), "LOGNAME": "ann"}
        self.actor = "cli:ann"

    def issue(self, name: str, usd: str) -> str | None:
        return self._secret("keys", "issue", name, "--tag", "a", "--monthly-usd", usd)

    def rotate(self, name: str) -> str | None:
        return self._secret("keys", "rotate", name)

    def revoke(self, name: str) -> bool:
        return self._run("keys", "revoke", name).exit_code == 0

    def set_budget(self, scope: str, usd: str) -> bool:
        return self._run("budgets", "set", scope, usd).exit_code == 0

    def lift_budget(self, scope: str) -> bool:
        return self._run("budgets", "lift", scope).exit_code == 0

    def store_provider_key(self, name: str, usd: str) -> bool:
        command = ("provider-keys", "add", "--name", name, "--base-url", UNREACHABLE, "--monthly-usd", usd)
        return self._run(*command, typed=PROVIDER_KEY).exit_code == 0

    def switch_provider_key(self, name: str, *, is_enabled: bool) -> bool:
        to = "enable" if is_enabled else "disable"
        return self._run("provider-keys", to, "openrouter", "--name", name).exit_code == 0

    def remove_provider_key(self, name: str) -> bool:
        return self._run("provider-keys", "remove", "openrouter", "--name", name).exit_code == 0

    def set_member(self, email: str, role: str) -> bool:
        typed = f"{PASSWORD}\n{PASSWORD}\n"
        return self._run("accounts", "add", "default", email, "--role", role, typed=typed).exit_code == 0

    def remove_member(self, email: str) -> bool:
        return self._run("accounts", "remove", "default", email).exit_code == 0

    def _secret(self, *arguments: str) -> str | None:
        shown = SECRET.search(self._run(*arguments).stdout)
        return None if shown is None else shown[0]

    def _run(self, *arguments: str, typed: str = "") -> Result:
        command = [*arguments, "--config", str(self._config)]
        line = build_command_line(arguments[0])
        done = CliRunner().invoke(line, command, input=typed, env=self._environment)
        assert done.exit_code in (0, 2), (done.output, done.exception)
        return done


@pytest.fixture
def gateway(new_url: str, tmp_path: Path) -> Iterator[GatewayThread]:
    keys = [{"name": "operator", "key": OPERATOR, "scopes": ["owner", "inference"]}]
    settings = {"database": new_url, "virtual_keys": keys, "master_key": MASTER_KEY}
    with GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0, **settings) as running:
        yield running


@pytest.fixture(params=[AdminApi, Forms, CommandLine])
def door(request: pytest.FixtureRequest, gateway: GatewayThread, new_url: str, tmp_path: Path) -> Iterator[Door]:
    make: Callable[[GatewayThread, Path, str], Door] = request.param
    opened = make(gateway, tmp_path, new_url)
    yield opened
    if isinstance(opened, Forms):
        opened.client.close()


def rows(engine: Engine, table: Table, *order: str) -> list[dict[str, Any]]:
    """The rows of a table, without what differs between two calls of the same kind."""
    with engine.connect() as connection:
        stored = connection.execute(select(table).order_by(*(table.c[name] for name in order))).mappings().all()
    return [
        {name: value for name, value in row.items() if name not in APART and not name.endswith("_us")} for row in stored
    ]


def audit(engine: Engine) -> list[tuple[str, str, dict[str, Any]]]:
    """(action, subject, details) of every entry in their order; a moment in the details is masked."""
    return [
        (
            row["action"],
            row["subject"],
            {name: "…" if name == "old_until" else value for name, value in row["details"].items()},
        )
        for row in rows(engine, AUDIT_TABLE, "number")
    ]


def actors(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(select(AUDIT_TABLE.c.actor)).scalars())


def test_a_virtual_key_is_the_same_whichever_door_issued_it(door: Door, gateway: GatewayThread) -> None:
    engine = gateway.resources.engine
    first = door.issue("ci", "5")
    assert first is not None
    assert door.rotate("ci") not in (None, first)
    assert door.set_budget("virtual_key:ci", "7.5")
    assert door.issue("gone", "1") is not None
    assert door.lift_budget("virtual_key:gone")
    assert door.revoke("gone")
    assert rows(engine, VIRTUAL_KEY_TABLE, "name") == [
        {
            "account": "default",
            "name": name,
            "scopes": ["inference"],
            "lanes": [],
            "tags": ["a"],
            "requests_per_minute": None,
            "tokens_per_minute": None,
        }
        for name in ("ci", "gone")
    ]
    assert [row["name"] for row in rows(engine, VIRTUAL_KEY_SECRET_TABLE, "name")] == ["ci", "ci"]
    assert rows(engine, BUDGET_RULE_TABLE, "scope") == [
        {"scope": "virtual_key:ci", "cap_nusd": 7_500_000_000, "time_zone": "UTC", "is_from_settings": False}
    ]
    assert audit(engine) == [
        ("virtual_key.create", "ci", {"scopes": ["inference"]}),
        ("budget.set", "virtual_key:ci", {"monthly_usd": "5"}),
        ("virtual_key.rotate", "ci", {"old_until": "…"}),
        ("budget.set", "virtual_key:ci", {"monthly_usd": "7.5"}),
        ("virtual_key.create", "gone", {"scopes": ["inference"]}),
        ("budget.set", "virtual_key:gone", {"monthly_usd": "1"}),
        ("budget.lift", "virtual_key:gone", {}),
        ("virtual_key.revoke", "gone", {}),
    ]
    assert actors(engine) == {door.actor}


def test_a_provider_key_is_the_same_whichever_door_stored_it(door: Door, gateway: GatewayThread) -> None:
    engine = gateway.resources.engine
    assert door.store_provider_key("work", "60")
    assert door.switch_provider_key("work", is_enabled=False)
    assert door.store_provider_key("gone", "1")
    assert door.remove_provider_key("gone")
    [stored] = rows(engine, PROVIDER_KEY_TABLE, "name")
    shown = {name: stored.pop(name) for name in ("last_four", "fingerprint")}
    stored.pop("test_outcome")  # the admin API tests a key when it is asked to, the other doors at once
    assert stored == {
        "account": "default",
        "provider": "openrouter",
        "name": "work",
        "organisation": None,
        "base_url": UNREACHABLE,
        "region": None,
        "is_enabled": False,
    }
    assert audit(engine) == [
        ("provider_key.create", "openrouter@work", shown),
        ("budget.set", "provider_key:openrouter@work", {"monthly_usd": "60"}),
        ("provider_key.change", "openrouter@work", {"is_enabled": False}),
        ("provider_key.create", "openrouter@gone", shown),
        ("budget.set", "provider_key:openrouter@gone", {"monthly_usd": "1"}),
        ("provider_key.delete", "openrouter@gone", {}),
    ]
    assert actors(engine) == {door.actor}


def test_a_member_is_the_same_whichever_door_added_them(door: Door, gateway: GatewayThread) -> None:
    engine = gateway.resources.engine
    assert door.set_member("Ann@example.com", "owner")
    assert door.set_member("bob@example.com", "viewer")
    assert door.remove_member("Bob@example.com")
    assert rows(engine, MEMBER_TABLE, "email") == [{"account": "default", "email": "ann@example.com", "role": "owner"}]
    assert audit(engine) == [
        ("person.create", "ann@example.com", {}),
        ("member.set", "ann@example.com", {"role": "owner"}),
        ("person.create", "bob@example.com", {}),
        ("member.set", "bob@example.com", {"role": "viewer"}),
        ("member.remove", "bob@example.com", {}),
    ]
    assert actors(engine) == {door.actor}


@pytest.mark.parametrize("usd", [FINER_THAN_A_NANO_DOLLAR, "5000000000"])
def test_a_refused_budget_leaves_no_key_and_no_audit_entry(door: Door, gateway: GatewayThread, usd: str) -> None:
    engine = gateway.resources.engine
    assert door.issue("ci", usd) is None
    assert not door.store_provider_key("work", usd)
    for table in (VIRTUAL_KEY_TABLE, VIRTUAL_KEY_SECRET_TABLE, PROVIDER_KEY_TABLE, BUDGET_RULE_TABLE, AUDIT_TABLE):
        assert rows(engine, table) == [], table.name
    assert door.issue("ci", "5") is not None  # the name is still free
    assert door.store_provider_key("work", "5")


def test_a_member_who_is_refused_is_no_person_either(door: Door, gateway: GatewayThread) -> None:
    engine = gateway.resources.engine
    assert not door.set_member("vic@example.com", "viewer")  # an account keeps an owner, and this one has none yet
    for table in (PERSON_TABLE, MEMBER_TABLE, AUDIT_TABLE):
        assert rows(engine, table) == [], table.name
