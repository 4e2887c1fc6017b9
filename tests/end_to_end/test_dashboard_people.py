"""Day one in the dashboard: the owner, keys, budgets, people; each sees and changes only their own account."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider

from serve.dashboard.page import NAVIGATION

PASSWORD = "correct horse battery"
OWNER = {"email": "ann@example.com", "password": PASSWORD}
SECRET = re.compile(r"ll_live_[0-9A-Za-z]{36}")
PROVIDER_KEY = "sk-or-v1-canary0123456789abcdef"


def token(page: httpx.Response) -> str:
    field = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert field, page.text[:500]
    return field[1]


class Browser:
    """One browser: it keeps its cookies and sends forms with the token of the page that they are on."""

    def __init__(self, gateway: GatewayThread) -> None:
        self.client = httpx.Client(base_url=gateway.url, timeout=30)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def send(self, page: str, action: str, **fields: str) -> httpx.Response:
        return self.client.post(action, data={"form_token": token(self.get(page)), **fields})

    def sign_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        return self.client.post("/sign-in", data={"email": email, "password": password})


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayThread]:
    with GatewayThread(tmp_path, sandbox="auto", sandbox_pace=0.0) as running:
        yield running


@pytest.fixture
def new_browser(gateway: GatewayThread) -> Iterator[Callable[[], Browser]]:
    with ExitStack() as stack:

        def make() -> Browser:
            browser = Browser(gateway)
            stack.enter_context(browser.client)
            return browser

        yield make


@pytest.fixture
def owner(new_browser: Callable[[], Browser]) -> Browser:
    browser = new_browser()
    assert browser.send("/start", "/start/owner", **OWNER).status_code == 303
    return browser


def test_day_one_from_the_first_start_to_the_first_answer(
    gateway: GatewayThread, provider: ScriptedProvider, new_browser: Callable[[], Browser]
) -> None:
    browser = new_browser()
    assert "Who owns this gateway?" in browser.get("/start").text
    weak = browser.send("/start", "/start/owner", email="ann@example.com", password="short")
    assert weak.status_code == 400
    assert browser.send("/start", "/start/owner", **OWNER).headers["location"] == "/start"
    assert "Who owns this gateway?" not in browser.get("/start").text

    stored = browser.send(
        "/start", "/keys/provider", **{"from": "start", "key": PROVIDER_KEY, "base_url": provider.base_url, "usd": "25"}
    )
    assert stored.headers["location"].startswith("/start?done=")
    steps = browser.get("/start").text
    assert "openrouter@main" in steps
    assert "$25" in steps

    shown = browser.send("/start", "/start/key", name="laptop")
    secret = SECRET.search(shown.text)
    assert secret
    assert secret[0] not in browser.get("/keys").text
    body = {"model": "smart-route", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {secret[0]}"}
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)
    assert answer.headers["x-llmdeal-lane"].startswith("openrouter@main/")
    assert httpx.post(f"{gateway.url}/v1/chat/completions", json=body).status_code == 401
    for path in ("/keys", "/audit", "/lanes", "/start", "/"):
        page = browser.get(path)
        assert page.status_code == 200
        assert PROVIDER_KEY not in page.text


def test_the_owner_is_created_once(owner: Browser, new_browser: Callable[[], Browser]) -> None:
    other = new_browser()
    assert other.get("/start").headers["location"].startswith("/sign-in")
    assert other.client.post("/start/owner", data={"email": "eve@example.com", "password": PASSWORD}).status_code == 303
    assert other.sign_in("eve@example.com").status_code == 401
    assert owner.send("/start", "/start/owner", email="eve@example.com", password=PASSWORD).status_code == 303
    assert other.sign_in("eve@example.com").status_code == 401


def test_people_sign_in_see_what_their_role_allows_and_sign_out(
    owner: Browser, new_browser: Callable[[], Browser]
) -> None:
    added = owner.send("/account", "/account/members", email="Vic@example.com", role="viewer", password=PASSWORD)
    assert added.headers["location"] == "/account?done=member"
    vic = new_browser()
    assert vic.sign_in("vic@example.com", "wrong password").status_code == 401
    cookie = vic.sign_in("vic@example.com").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    for path in (*(path for path, _ in NAVIGATION), "/audit"):
        assert vic.get(path).status_code == 200, path
    form_token = token(vic.get("/playground"))
    for action in (
        "/keys/virtual",
        "/keys/provider",
        "/keys/virtual/revoke",
        "/budgets",
        "/account/members",
        "/account",
        "/account/forget",
        "/accounts",
    ):
        refused = vic.client.post(
            action, data={"form_token": form_token, "name": "x", "usd": "1", "scope": "account:default"}
        )
        assert refused.status_code == 403, action
    assert "Issue key" not in vic.get("/keys").text
    vic.client.post("/sign-out", data={"form_token": form_token})
    assert vic.get("/").status_code == 303
    removed = owner.send("/account", "/account/members/remove", email="vic@example.com")
    assert removed.status_code == 303
    assert vic.sign_in("vic@example.com").status_code == 303
    assert vic.get("/").status_code == 403  # in no account any more
    last = owner.send("/account", "/account/members/remove", email="ann@example.com")
    assert (last.status_code, "at least one owner" in last.text) == (400, True)


def test_keys_are_issued_rotated_and_revoked(owner: Browser, gateway: GatewayThread) -> None:
    issued = owner.send(
        "/keys",
        "/keys/virtual",
        name="ci",
        lanes="sandbox anthropic/*",
        tags="a, b",
        usd="5",
        requests_per_minute="60",
        days="30",
    )
    first = SECRET.search(issued.text)
    assert first
    [key] = gateway.resources.identity.virtual_keys.of_account("default")
    assert (key.lanes, key.tags, key.requests_per_minute) == (("sandbox", "anthropic/*"), ("a", "b"), 60)
    rotated = owner.send("/keys", "/keys/virtual/rotate", name="ci")
    second = SECRET.search(rotated.text)
    assert second
    assert second[0] != first[0]
    for wrong in (
        {"name": "ci"},
        {"name": "Not A Name"},
        {"name": "x", "usd": "a lot"},
        {"name": "x", "days": "no"},
        {"name": "x", "requests_per_minute": "-1"},
        {"name": "x", "scopes": "root"},
    ):
        refused = owner.send("/keys", "/keys/virtual", **wrong)
        assert (refused.status_code, 'role="alert"' in refused.text) == (400, True), wrong
    assert owner.send("/keys", "/keys/virtual/revoke", name="ci").headers["location"] == "/keys?done=revoked"
    assert "revoked" in owner.get("/keys").text


def test_forms_of_other_sites_and_old_tokens_change_nothing(owner: Browser, gateway: GatewayThread) -> None:
    good = token(owner.get("/keys"))
    for data, headers in (
        ({"name": "x"}, {}),
        ({"name": "x", "form_token": good[:-2] + "xx"}, {}),
        ({"name": "x", "form_token": good}, {"origin": "https://evil.example"}),
        ({"name": "x", "form_token": good}, {"sec-fetch-site": "cross-site"}),
    ):
        assert owner.client.post("/keys/virtual", data=data, headers=headers).status_code == 403
    assert gateway.resources.identity.virtual_keys.of_account("default") == []


def test_accounts_are_apart_and_operators_go_between_them(
    owner: Browser, gateway: GatewayThread, new_browser: Callable[[], Browser]
) -> None:
    opened = owner.send("/account", "/accounts", account="acme", email="bob@example.com", password=PASSWORD)
    assert opened.headers["location"] == "/account?done=opened"
    bob = new_browser()
    bob.sign_in("bob@example.com")
    assert bob.send("/keys", "/keys/virtual", name="theirs").status_code == 200
    assert "theirs" not in owner.get("/keys").text
    assert "ann@example.com" not in bob.get("/account").text
    assert (owner.get("/settings").status_code, bob.get("/settings").status_code) == (200, 403)
    bob.send("/account", "/account/choose", account="default", next="/keys")
    assert "acme" in bob.get("/account").text  # asking is not being let in
    assert (
        bob.client.post("/accounts", data={"form_token": token(bob.get("/account")), "account": "x"}).status_code == 403
    )
    owner.send("/account", "/account/choose", account="acme", next="/keys")
    assert "theirs" in owner.get("/keys").text
    assert "bob@example.com" in owner.get("/account").text
    names = {entry.actor for entry in gateway.resources.identity.audit.entries("acme")}
    assert names == {"ann@example.com", "bob@example.com"}


def test_the_owner_says_what_is_logged_and_has_it_deleted(owner: Browser, gateway: GatewayThread) -> None:
    accounts = gateway.resources.identity.accounts
    assert owner.send("/account", "/account", title="Mine", time_zone="UTC", logged_content="none").status_code == 303
    assert accounts.find("default").logged_content == "none"
    assert '<option value="none" selected>' in owner.get("/account").text
    assert owner.send("/account", "/account", title="Mine", time_zone="UTC", logged_content="all").status_code == 400
    assert owner.send("/account", "/account", title="Yours", time_zone="UTC").status_code == 303
    assert accounts.find("default").logged_content == "none"  # a form that does not ask changes nothing
    assert owner.send("/account", "/account", title="Mine", time_zone="UTC", logged_content="").status_code == 303
    assert accounts.find("default").logged_content is None

    assert owner.send("/account", "/account/forget", what="rows").headers["location"] == "/account?done=forgotten"
    assert "What was logged is deleted." in owner.get("/account?done=forgotten").text
    assert gateway.resources.identity.audit.entries("default")[0].action == "account.forget"


def test_what_people_write_is_text_and_not_markup(owner: Browser) -> None:
    script = "<script>alert(1)</script>"
    owner.send("/account", "/account", title=script, time_zone="UTC")
    owner.send("/keys", "/keys/virtual", name="x", tags="<img/src=x>", lanes="<b>")
    for path in ("/account", "/keys", "/audit"):
        page = owner.get(path)
        assert script not in page.text
        assert "<img/src" not in page.text
        assert "<b>" not in page.text


def test_people_change_their_own_password_and_end_their_other_sessions(
    owner: Browser, new_browser: Callable[[], Browser], gateway: GatewayThread
) -> None:
    elsewhere, phone = new_browser(), new_browser()
    for browser in (elsewhere, phone):
        assert browser.sign_in("ann@example.com").status_code == 303
    page = owner.get("/account/you")
    assert page.text.count("End<span") == 2
    [first, _] = re.findall(r'name="session" value="([0-9a-f]+)"', page.text)
    assert owner.send("/account/you", "/account/you/sessions/end", session=first).status_code == 303
    assert owner.get("/account/you").text.count("End<span") == 1
    new = {"new_password": "another good one", "again": "another good one"}
    assert owner.send("/account/you", "/account/you/password", old_password="not this one", **new).status_code == 401
    assert (
        owner.send(
            "/account/you", "/account/you/password", old_password=PASSWORD, new_password="short", again="short"
        ).status_code
        == 400
    )
    unlike = owner.send(
        "/account/you", "/account/you/password", old_password=PASSWORD, new_password="another good one", again="other"
    )
    assert (unlike.status_code, "not repeated" in unlike.text) == (400, True)
    changed = owner.send("/account/you", "/account/you/password", old_password=PASSWORD, **new)
    assert changed.headers["location"] == "/account/you?done=password"
    assert owner.get("/account/you").status_code == 200
    for browser in (elsewhere, phone):
        assert browser.get("/account/you").status_code == 303  # to the sign-in page
    assert elsewhere.sign_in("ann@example.com").status_code == 401
    assert elsewhere.sign_in("ann@example.com", "another good one").status_code == 303
    assert owner.send("/account/you", "/account/you/sessions/end").status_code == 303
    assert elsewhere.get("/").status_code == 303
    entries = gateway.resources.identity.audit.entries("default", limit=4)
    assert [entry.action for entry in entries][:3] == ["session.end", "person.password", "session.end"]
    assert "another good one" not in str(entries)


def test_who_signed_in_without_a_password_has_none_to_change(
    gateway: GatewayThread, new_browser: Callable[[], Browser]
) -> None:
    assert new_browser().get("/account/you").status_code == 404
