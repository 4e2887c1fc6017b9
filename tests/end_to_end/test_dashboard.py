"""The dashboard over real HTTP: every page, without logs and with logs, for its viewers and against other callers."""

import csv
import html
import io
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider, refuse
from telemetry_strategies import attempt_row

from serve.dashboard.page import CONTENT_SECURITY_POLICY, NAVIGATION, environment
from serve.identity.virtual_keys import issue_virtual_key
from serve.telemetry.attempt_repository import AttemptRepository

pytestmark = pytest.mark.slow

PAGES = (*(path for path, _ in NAVIGATION), "/live")
SCRIPT = "<script>alert(1)</script>"
MESSAGES = [{"role": "user", "content": f"What is 17 * 23? {SCRIPT}"}]
KEY, OTHER_KEY = issue_virtual_key("test"), issue_virtual_key("test")


class InlineCode(HTMLParser):
    """Finds what a strict policy would refuse: inline scripts and styles, handlers, foreign sources."""

    def __init__(self) -> None:
        super().__init__()
        self.violations: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = dict(attributes)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.violations.append(tag)
        self.violations += [f"{tag} {name}" for name in names if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            address = names.get(name)
            if address is not None:
                self.addresses.append(address)
                if not address.startswith(("/", "#")):
                    self.violations.append(f"{tag} {name}={address}")


def is_strict(response: httpx.Response) -> bool:
    code = InlineCode()
    code.feed(response.text)
    return response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY and code.violations == []


def form_token(page: httpx.Response) -> str:
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert token is not None
    return token[1]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    folder = tmp_path_factory.mktemp("dashboard")
    with GatewayThread(
        folder, sandbox="on", sandbox_pace=0.0, telemetry_content="full", monthly_budget_usd="5"
    ) as running:
        for body in (
            {"model": "smart-route"},
            {"model": "sandbox/large", "max_tokens": 20},
            {"model": "sandbox/small", "stream": True},
        ):
            tags = {"x-llmdeal-tags": f"{SCRIPT},batch"}
            answer = httpx.post(
                f"{running.url}/v1/chat/completions", json={**body, "messages": MESSAGES}, headers=tags, timeout=30
            )
            assert answer.status_code == 200
        hostile = attempt_row(
            request_id="req_" + "f" * 24,
            lane_id=SCRIPT,
            vendor_model=SCRIPT,
            virtual_key_id=SCRIPT,
            error_code=SCRIPT,
            outcome="timeout",
        )
        AttemptRepository(running.resources.engine).insert_many(
            [hostile, attempt_row(1, request_id="req_other", account="other")]
        )
        running.attempts()  # flushed
        yield running


@pytest.fixture
def client(gateway: GatewayThread) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=30) as opened:
        yield opened


@pytest.fixture
def without_plotly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make `plotly` a package that cannot be found."""
    monkeypatch.setitem(sys.modules, "plotly", None)
    environment.cache_clear()
    yield
    environment.cache_clear()


def answered_id(gateway: GatewayThread) -> str:
    return next(row.request_id for row in gateway.attempts() if row.account == "default" and row.outcome == "ok")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_works_before_anything_was_asked(path: str, tmp_path: Path) -> None:
    with GatewayThread(tmp_path, sandbox="on") as empty:
        page = httpx.get(f"{empty.url}{path}")
    assert page.status_code == 200
    assert is_strict(page)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_strict_titled_and_never_stored(path: str, client: httpx.Client) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert is_strict(page)
    assert page.headers["cache-control"] == "no-store"
    assert path == "/live" or re.search(r"<title>[^<]+ · llmdeal</title>", page.text)
    assert SCRIPT not in page.text


def test_every_link_and_asset_of_every_page_leads_somewhere(client: httpx.Client, gateway: GatewayThread) -> None:
    links: set[str] = set()
    for path in (*PAGES, f"/requests/{answered_id(gateway)}"):
        code = InlineCode()
        code.feed(client.get(path).text)
        links |= {address.partition("#")[0] for address in code.addresses} - {""}
    gone = [link for link in sorted(links) if client.get(link, follow_redirects=True).status_code not in (200, 405)]
    assert gone == []
    assert any(link.startswith("/assets/dashboard.css?v=") for link in links)


@pytest.mark.usefixtures("without_plotly")
def test_without_the_plotting_library_plots_are_drawings_without_a_button(client: httpx.Client) -> None:
    page = client.get("/?span=24h")
    assert 'class="columns"' in page.text
    assert "Explore" not in page.text
    assert "plots.js" not in page.text
    library = client.get("/assets/plotly.min.js")
    assert library.status_code == 404
    assert "pip install 'llmdeal[plots]'" in html.unescape(library.text)


def test_what_callers_write_is_shown_and_never_run(client: httpx.Client, gateway: GatewayThread) -> None:
    for path in (
        "/requests",
        f"/requests/{answered_id(gateway)}",
        "/requests/req_" + "f" * 24,
        f"/requests?tag={SCRIPT}&q={SCRIPT}&since={SCRIPT}",
    ):
        page = client.get(path)
        assert page.status_code == 200, path
        assert SCRIPT not in page.text
        assert "&lt;script&gt;alert(1)" in page.text
        assert is_strict(page)


def test_a_request_opens_to_its_decision(client: httpx.Client, gateway: GatewayThread) -> None:
    row = next(row for row in gateway.attempts() if row.request_id == answered_id(gateway))
    page = client.get(f"/requests/{row.request_id}").text
    assert row.cost_nusd is not None
    assert f"${row.cost_nusd / 1e9:.9f}" in page
    assert all(lane in page for lane in ("sandbox/small", "sandbox/medium", "sandbox/large", "sandbox/reasoning"))
    assert 'class="dot chosen"' in page
    assert "17 * 23" in page


@pytest.mark.parametrize(
    "path", ["/requests/req_other", "/requests/nothing", "/requests/%3Cscript%3E", "/assets/secret.txt"]
)
def test_what_is_not_there_or_is_anothers_is_not_found_alike(path: str, client: httpx.Client) -> None:
    page = client.get(path)
    assert page.status_code == 404
    assert is_strict(page)


def test_filters_narrow_and_say_what_they_did_not_understand(client: httpx.Client, gateway: GatewayThread) -> None:
    def ids(path: str) -> set[str]:
        return set(re.findall(r'href="/requests/(req_\w+)"', client.get(path).text))

    assert len(ids("/requests")) >= 4
    assert ids("/requests?outcome=failed") == {"req_" + "f" * 24}
    assert len(ids("/requests?lane=sandbox/large")) == len(
        {row.request_id for row in gateway.attempts() if row.lane_id == "sandbox/large"}
    )
    assert ids(f"/requests?q={answered_id(gateway)[:20]}") == {answered_id(gateway)}
    page = client.get("/requests?outcome=lovely&at=rubbish").text
    assert "lovely" in page
    assert "is not an outcome" in page


def test_a_thumb_is_recorded_as_feedback(client: httpx.Client, gateway: GatewayThread) -> None:
    address = f"/requests/{answered_id(gateway)}"
    token = form_token(client.get(address))
    sent = client.post(f"{address}/feedback", data={"form_token": token, "thumb": "down", "comment": f"wrong {SCRIPT}"})
    assert sent.status_code == 303
    page = client.get(sent.headers["location"]).text
    assert "Thank you" in page
    assert 'value="down" aria-pressed="true"' in page
    assert "wrong &lt;script&gt;" in page
    assert client.post(f"{address}/feedback", data={"form_token": token, "thumb": "sideways"}).status_code == 400
    assert client.post("/requests/req_other/feedback", data={"form_token": token, "thumb": "up"}).status_code == 404


CHANGES = (
    "/budgets",
    "/budgets/lift",
    "/playground",
    "/playground/decision",
    "/playground/answer",
    "/requests/{id}/feedback",
)


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_a_foreign_pages_form_changes_nothing(
    path: str, headers: dict[str, str], client: httpx.Client, gateway: GatewayThread
) -> None:
    token = form_token(client.get("/budgets")) if headers else "forged"
    data = {"form_token": token, "scope": "account:default", "usd": "1", "prompt": "hi", "thumb": "up"}
    refused = client.post(path.format(id=answered_id(gateway)), data=data, headers=headers)
    assert refused.status_code == 403
    assert is_strict(refused)


def test_a_name_that_is_not_this_machines_is_refused_while_nobody_signs_in(client: httpx.Client) -> None:
    """A foreign site may point its own name at 127.0.0.1 and would then be of the same origin."""
    page = client.get("/", headers={"host": "evil.example"})
    assert page.status_code == 403
    assert "Spent" not in page.text
    assert client.get("/", headers={"host": "localhost:8000"}).status_code == 200


def test_the_playground_decides_asks_and_shows_both_without_a_script(client: httpx.Client) -> None:
    token = form_token(client.get("/playground"))
    data = {
        "form_token": token,
        "prompt": "What is 2 + 2?",
        "beside": "sandbox/large",
        "max_tokens": "12",
        "quality": "0.5",
    }
    page = client.post("/playground", data=data)
    assert page.status_code == 200
    assert is_strict(page)
    assert page.text.count("open the decision") == 2
    assert "simulated" in page.text
    assert 'class="dot chosen"' in page.text
    wrong = client.post("/playground", data={**data, "quality": "high", "prompt": " "})
    assert wrong.status_code == 400
    assert "&#39;high&#39; is not a number" in wrong.text


def test_the_playground_streams_for_the_script_and_is_logged_and_charged_like_any_request(
    client: httpx.Client, gateway: GatewayThread
) -> None:
    token = form_token(client.get("/playground"))
    data = {"form_token": token, "prompt": "What is 2 + 2?", "model": "sandbox/small"}
    with client.stream("POST", "/playground/answer", data=data) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        request_id = response.headers["x-llmdeal-request-id"]
        events = [line for line in response.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    row = next(row for row in gateway.attempts() if row.request_id == request_id)
    assert (row.tags, row.is_streaming, row.account) == (("playground",), True, "default")
    assert row.cost_nusd
    unknown = client.post("/playground/answer", data={**data, "model": "nobody/knows"})
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "model_not_found"


def test_no_header_of_a_client_makes_it_somebody_else(gateway: GatewayThread, tmp_path: Path) -> None:
    with GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0, keys=KEY) as locked:
        body = {"model": "smart-route", "messages": MESSAGES}
        answer = httpx.post(f"{locked.url}/v1/chat/completions", json=body, headers={"llmdeal.holder": "anonymous"})
    assert answer.status_code == 401


def test_budgets_are_set_changed_and_lifted(client: httpx.Client, gateway: GatewayThread) -> None:
    token = form_token(client.get("/budgets"))

    def send(path: str, **fields: str) -> httpx.Response:
        return client.post(path, data={"form_token": token, **fields})

    assert send("/budgets", kind="virtual_key", name="ci", usd="12.50").status_code == 303
    page = client.get("/budgets?done=set").text
    assert "$12.50" in page
    assert "The budget is set" in page
    assert send("/budgets", scope="virtual_key:ci", usd="$1,200").status_code == 303
    assert "$1,200" in client.get("/budgets").text
    for amount in ("a lot", "-1", "0.0000000001", "NaN", "1e30"):
        refused = send("/budgets", scope="virtual_key:ci", usd=amount)
        assert refused.status_code == 400, amount
        assert 'role="alert"' in refused.text
    assert send("/budgets", kind="castle", name="ci", usd="1").status_code == 400
    assert send("/budgets", kind="account", name="other", usd="1").status_code == 400
    assert send("/budgets/lift", scope="virtual_key:ci").status_code == 303
    assert "$1,200" not in client.get("/budgets").text


def test_what_is_on_screen_is_exported(client: httpx.Client, gateway: GatewayThread) -> None:
    rows = list(csv.DictReader(io.StringIO(client.get("/export/requests.csv?lane=sandbox/large").text)))
    assert {row["lane_id"] for row in rows} == {"sandbox/large"}
    logged = {row.request_id: row for row in gateway.attempts()}
    assert all(int(row["cost_nusd"]) == logged[row["request_id"]].cost_nusd for row in rows)
    table = pq.read_table(io.BytesIO(client.get("/export/requests.parquet").content))
    assert set(table["request_id"].to_pylist()) == {
        row.request_id for row in logged.values() if row.account == "default"
    }
    usage = pq.read_table(io.BytesIO(client.get("/export/usage.parquet?span=24h").content)).to_pylist()
    assert sum(row["cost_nusd"] for row in usage) == sum(
        row.cost_nusd or 0
        for row in logged.values()
        if row.account == "default" and row.request_id != "req_" + "f" * 24
    )
    assert client.get("/export/usage.csv").headers["content-disposition"] == 'attachment; filename="llmdeal-usage.csv"'
    assert client.get("/export/usage.exe").status_code == 400


def test_the_theme_is_kept_in_a_cookie(client: httpx.Client) -> None:
    sent = client.post("/theme", data={"theme": "dark", "next": "/lanes"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/lanes")
    assert 'data-theme="dark"' in client.get("/lanes").text
    client.post("/theme", data={"theme": '"><script>', "next": "//evil.example"})
    assert 'data-theme="system"' in client.get("/").text


def test_the_gateways_own_addresses_stay_its_own(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert (
        client.get("/metrics").status_code
        == client.get("/docs").status_code
        == client.get("/openapi.json").status_code
        == 200
    )
    assert client.get("/v1/nothing").json()["error"]["code"] == "not_found"
    assert not any(path in client.get("/openapi.json").json()["paths"] for path in PAGES)


def test_a_lane_that_rests_is_said_to_and_the_attempt_that_failed_is_found(tmp_path: Path) -> None:
    served = {
        "upstream_model": "llama",
        "input_usd_per_mtok": "0",
        "output_usd_per_mtok": "0",
        "context_tokens": 32_000,
        "ability": 5.0,
    }
    with ScriptedProvider(usually=refuse(500)) as provider:
        servers = [{"id": "homelab", "base_url": provider.base_url, "models": [served]}]
        with GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0, servers=servers) as running:
            answer = httpx.post(
                f"{running.url}/v1/chat/completions", json={"model": "smart-route", "messages": MESSAGES}, timeout=30
            )
            assert answer.headers["x-llmdeal-attempts"] == "2"
            running.attempts()
            overview, lanes = (httpx.get(f"{running.url}{path}").text for path in ("/?span=24h", "/lanes"))
            assert "1 of 2 attempts failed" in overview
            for page in (overview, lanes):
                assert re.search(r"rests \d+ ms", page)
            failed = httpx.get(f"{running.url}/requests?outcome=failed&span=1h").text
            assert answer.headers["x-llmdeal-request-id"] in failed
            assert "upstream error" in failed
            opened = httpx.get(f"{running.url}/requests/{answer.headers['x-llmdeal-request-id']}").text
            assert "the lane before it failed" in opened


def test_with_virtual_keys_somebody_signs_in_first(tmp_path: Path) -> None:
    keys = [{"name": "ci", "key": KEY, "scopes": ["admin", "inference"]}, {"name": "web", "key": OTHER_KEY}]
    with (
        GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0, virtual_keys=keys) as locked,
        httpx.Client(base_url=locked.url) as client,
    ):
        for path in (*PAGES, "/requests/req_x", "/export/requests.csv", "/export/usage.parquet"):
            refused = client.get(path)
            assert (refused.status_code, refused.headers["location"].partition("?")[0]) == (303, "/sign-in"), path
        assert (
            client.post("/budgets", data={"scope": "account:default", "usd": "1"})
            .headers["location"]
            .startswith("/sign-in")
        )
        assert is_strict(client.get("/sign-in?next=/lanes"))
        wrong = client.post("/sign-in", data={"virtual_key": issue_virtual_key("test")})
        assert wrong.status_code == 401
        assert "set-cookie" not in wrong.headers
        foreign = client.post("/sign-in", data={"virtual_key": KEY}, headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403

        not_for_it = client.post("/sign-in", data={"virtual_key": OTHER_KEY})
        assert not_for_it.status_code == 403  # it may ask models, and nothing else

        right = client.post("/sign-in", data={"virtual_key": KEY, "next": "/lanes"})
        assert (right.status_code, right.headers["location"]) == (303, "/lanes")
        cookie = right.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert KEY not in cookie
        page = client.get("/playground")
        assert page.status_code == 200
        assert "ci · default" in page.text

        data = {"form_token": form_token(page), "prompt": "hi", "model": "sandbox/small"}
        asked = client.post("/playground/answer", data=data)
        row = next(row for row in locked.attempts() if row.request_id == asked.headers["x-llmdeal-request-id"])
        assert row.virtual_key_id == "ci"  # so that its budget holds

        tampered = httpx.get(f"{locked.url}/lanes", cookies={"llmdeal_key": client.cookies["llmdeal_key"][:-2] + "xx"})
        assert tampered.status_code == 303
        assert client.post("/sign-out", data={"form_token": data["form_token"]}).status_code == 303
        client.cookies.delete("llmdeal_key")
        assert client.get("/").status_code == 303
