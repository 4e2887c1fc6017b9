"""Bundles over the admin API and on the dashboard: rights, display, and that a change works once it is answered."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.derived_bundle import derive_bundle, judge
from fakes.gateway_thread import GatewayThread

from router.bundle import load_bundle
from serve.identity.virtual_keys import issue_virtual_key

SHIPPED_VERSION = load_bundle(SHIPPED_BUNDLE).version
KEYS = {scope: issue_virtual_key() for scope in ("owner", "admin", "read")}


def measure(bundle: Path) -> None:
    """Give a bundle figures of its makers: for models that the sandbox has, and for others."""
    path = bundle / "manifest.json"
    figures = {
        "keys": ["openai"], "models": ["openai/gpt-5"], "prompts": 140, "is_small": False, "cost_basis": "paid",
        "gap_closed": 0.1, "lead": 0.021, "lead_low": 0.004, "lead_high": 0.05,
    }  # fmt: skip
    pools = [
        figures | {"source": "sql", "work": "SQL"},
        figures | {"source": "chat", "work": "chat", "lead_low": -0.01},
    ]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pools": pools}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    measure(derive_bundle(folder / "bundles" / "night-1", is_contrary=True))
    derive_bundle(folder / "bundles" / "night-2")
    judge(folder / "bundles" / "night-1", SHIPPED_VERSION)
    return folder


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[GatewayThread]:
    keys = [{"name": scope, "key": key, "scopes": [scope]} for scope, key in KEYS.items()]
    with GatewayThread(folder, virtual_keys=keys, sandbox="on", sandbox_pace=0.0) as running:
        yield running


def api(gateway: GatewayThread, method: str, path: str, scope: str = "admin", **body: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {KEYS[scope]}"}
    sent = None if method == "get" else body
    return httpx.request(method, f"{gateway.url}/admin/v1/bundles{path}", headers=headers, json=sent, timeout=30)


def deciding(gateway: GatewayThread) -> str:
    version: str = httpx.get(f"{gateway.url}/readyz").json()["router_version"]
    return version


def test_the_api_promotes_tries_and_rolls_back_at_once(gateway: GatewayThread) -> None:
    refused = api(gateway, "post", "/night-2/promote")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert "never judged" in refused.json()["error"]["message"]
    assert api(gateway, "post", "/night-1/promote", scope="read").status_code == 403
    promoted = api(gateway, "post", "/night-1/promote", note="Monday's")
    assert (promoted.status_code, promoted.json()["name"]) == (200, "night-1")
    assert deciding(gateway) == promoted.json()["version"]
    assert api(gateway, "post", "/night-2/canary", share=0.25).json()["share"] == 0.25
    assert api(gateway, "post", "/night-2/shadow").json()["share"] == 1.0
    listed = api(gateway, "get", "", scope="read").json()
    assert {stage: version.partition("+")[0] for stage, version in listed["at_work"].items()} == {
        "champion": "night-1",
        "canary": "night-2",
        "shadow": "night-2",
    }
    assert [entry["action"] for entry in listed["history"]] == ["shadow", "canary", "promote"]
    assert listed["history"][-1]["verdict"]["utility_gain_usd"] == [0.0004, 0.0001, 0.0007]
    assert listed["history"][-1]["actor"] == "virtual_key:admin"
    assert len(api(gateway, "post", "/stop").json()["stopped"]) == 2
    assert api(gateway, "post", "/rollback").json()["version"] == SHIPPED_VERSION
    assert deciding(gateway) == SHIPPED_VERSION
    shown = api(gateway, "get", "/night-1").json()
    assert (shown["verdict"]["is_better"], shown["shadow"]) == (True, [])
    assert api(gateway, "get", "/night-9").status_code == 404
    headers = {"authorization": f"Bearer {KEYS['owner']}"}
    audit = httpx.get(f"{gateway.url}/admin/v1/accounts/default/audit", headers=headers).json()["data"]
    assert [entry["action"] for entry in audit[:5]] == [
        f"bundle.{each}" for each in ("rollback", "stop", "shadow", "canary", "promote")
    ]


def test_a_bundle_that_is_altered_is_refused_by_the_api_with_the_mend(gateway: GatewayThread, folder: Path) -> None:
    derive_bundle(folder / "bundles" / "broken")
    (folder / "bundles" / "broken" / "tokenizer.json").write_text("{}")
    refused = api(gateway, "post", "/broken/promote", force=True, note="why not")
    assert refused.status_code == 409
    assert "export the bundle again" in refused.json()["error"]["message"]
    assert "sha256" in next(
        each["problem"] for each in api(gateway, "get", "").json()["data"] if each["name"] == "broken"
    )


class Browser:
    """Somebody at the dashboard, signed in with a virtual key."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.client.close()

    def __init__(self, gateway: GatewayThread, scope: str) -> None:
        self.client = httpx.Client(base_url=gateway.url, follow_redirects=True, timeout=30)
        self.client.post("/sign-in", data={"virtual_key": KEYS[scope]})

    def page(self) -> str:
        return self.client.get("/router").text

    def send(self, path: str, **fields: str) -> httpx.Response:
        token = re.search(r'name="form_token" value="([^"]+)"', self.page())
        return self.client.post(path, data={"form_token": token[1] if token else "", **fields})


def test_the_dashboard_promotes_by_a_button_and_shows_why(gateway: GatewayThread) -> None:
    with Browser(gateway, "admin") as admin:
        page = admin.page()
        assert page.count(">Promote</button>") == 1
        assert "+$0.40 (+$0.10 to +$0.70) per 1,000 requests" in page
        assert admin.client.post("/router/promote", data={"bundle": "night-1"}).status_code == 403
        done = admin.send("/router/promote", bundle="night-1")
        assert "Done. This worker follows at once" in done.text
        assert deciding(gateway).startswith("night-1")
        of_makers = " ".join(admin.page().partition("Where routing pays")[2].split())
        assert "With keys of openai, routing gains 2.1 points on such work." in of_makers
        assert "With keys of openai, routing saves nothing on such work." in of_makers
        assert "+2.1 (+0.4 to +5.0)" in of_makers
        refused = admin.send("/router/promote", bundle="night-2")
        assert (refused.status_code, "never judged against the champion night-1" in refused.text) == (409, True)
        assert (
            "canary, 20% of conversations"
            in admin.send("/router/try", bundle="night-2", stage="canary", percent="20 %").text
        )
        assert "is not a percentage" in admin.send("/router/try", bundle="night-2", stage="canary", percent="many").text
        assert "Stop the canary" not in admin.send("/router/stop", stage="canary").text
        assert "Roll back" not in admin.send("/router/rollback").text.partition("Promotions")[0]
        assert deciding(gateway) == SHIPPED_VERSION
        history = admin.page().partition("Promotions")[2]
        assert history.index("rollback") < history.index("stop the canary") < history.index("canary on 20%")


def test_who_may_look_may_not_change(gateway: GatewayThread) -> None:
    with Browser(gateway, "read") as viewer:
        page = viewer.page()
        assert "night-2" in page
        assert "/router/promote" not in page
        assert viewer.client.post("/router/promote", data={"bundle": "night-1"}).status_code == 403
