"""The dashboard in a real browser: no message in the console, nothing wider than a phone, everything by keyboard."""

import shutil
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.derived_bundle import derive_bundle, judge
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider, answer, refuse

from router.bundle import load_bundle
from serve.dashboard.page import NAVIGATION

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytest.importorskip("playwright", reason="the package playwright is not installed: it drives the browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, chromium-browser or google-chrome on PATH"),
]

PAGES = (*(path for path, _ in NAVIGATION), "/audit", "/settings", "/start")
LONG_LANE = "a-model-with-a-name-that-goes-on-and-on-as-some-vendors-names-do-2026-11-24-preview"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    folder = tmp_path_factory.mktemp("browser")
    judge(derive_bundle(folder / "bundles" / "a-bundle-of-the-26th-of-november"), load_bundle(SHIPPED_BUNDLE).version)
    judge(derive_bundle(folder / "bundles" / "night-2"), load_bundle(SHIPPED_BUNDLE).version, is_better=False)
    served = {
        "upstream_model": LONG_LANE,
        "input_usd_per_mtok": "0.1",
        "output_usd_per_mtok": "0.2",
        "context_tokens": 32_000,
    }
    with ScriptedProvider(script=[refuse(500), answer, answer]) as provider:
        servers = [{"id": "homelab", "base_url": provider.base_url, "models": [{**served, "ability": 3.0}]}]
        with GatewayThread(folder, sandbox="on", sandbox_pace=0.0, servers=servers, monthly_budget_usd="5") as running:
            for n in range(8):
                body = {"model": "smart-route", "messages": [{"role": "user", "content": f"What is {n} * 23?"}]}
                httpx.post(
                    f"{running.url}/v1/chat/completions", json=body, headers={"x-llmdeal-tags": "prod"}, timeout=30
                )
            running.attempts()
            running.resources.bundle_keeper.try_shadow(
                "night-2", "somebody@example.com", note="to see what it would do"
            )
            yield running


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Playwright's synchronous interface runs an event loop of its own, which pytest's other tests must not see."""
    from playwright.sync_api import sync_playwright

    before = threading.active_count()
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()
    assert threading.active_count() <= before + 1


@pytest.fixture
def open_page(browser: "Browser", gateway: GatewayThread) -> Iterator[Any]:
    """Open a page of the gateway; at the end nothing may have gone wrong on it."""
    contexts, messages = [], []

    def note_failure(url: str, why: str | None) -> None:
        if why != "net::ERR_ABORTED":  # as when the next page is opened meanwhile
            messages.append(f"failed: {url}: {why}")

    def open_at(path: str, width: int = 1_440, theme: str = "light", *, has_script: bool = True) -> "Page":
        context = browser.new_context(
            base_url=gateway.url,
            viewport={"width": width, "height": 800},
            color_scheme=theme,  # type: ignore[arg-type]  # light or dark
            java_script_enabled=has_script,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: messages.append(f"error: {error}"))
        page.on("requestfailed", lambda request: note_failure(request.url, request.failure))
        page.set_default_timeout(10_000)
        page.goto(path)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert [text for text in messages if not is_known(text)] == []


def is_known(text: str) -> bool:
    """Return whether plotly.js tried its one inline style, on the first plot. The policy refuses it, to no effect."""
    return "ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE" in text


def decision_path(gateway: GatewayThread) -> str:
    return f"/requests/{gateway.attempts()[0].request_id}"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1_440])
def test_pages_fit_their_screen_and_break_no_policy(
    width: int, theme: str, open_page: Any, gateway: GatewayThread
) -> None:
    page = open_page("/", width, theme)
    grounds = set()
    for path in (*PAGES, decision_path(gateway)):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert page.locator("h1").count() == 1
    assert len(grounds) == 1
    (ground,) = grounds
    brightness = sum(int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(","))
    assert (brightness > 600) == (theme == "light")


def test_numbers_change_without_a_reload(open_page: Any, gateway: GatewayThread) -> None:
    page = open_page("/?span=24h")
    page.evaluate("window.isTheSamePage = true")
    figure = page.locator(".tile", has_text="Requests").locator(".figure")
    before = int(figure.inner_text())
    body = {"model": "sandbox/small", "messages": [{"role": "user", "content": "one more"}]}
    httpx.post(f"{gateway.url}/v1/chat/completions", json=body, timeout=30)
    page.wait_for_function("before => Number(document.querySelectorAll('.figure')[1].textContent) > before", arg=before)
    assert page.evaluate("window.isTheSamePage") is True


def test_a_request_is_found_opened_and_judged(open_page: Any, gateway: GatewayThread) -> None:
    page = open_page("/requests")
    assert page.locator("table.requests tbody tr").count() >= 8
    page.select_option("select[name=lane]", f"homelab/{LONG_LANE}")  # sends itself
    page.wait_for_url("**lane=homelab*")
    n_rows = page.locator("table.requests tbody tr").count()
    assert 1 <= n_rows < 8
    page.locator("table.requests tbody a").first.click()
    page.wait_for_url("**/requests/req_*")
    assert page.locator("svg.large-screen .dot.chosen").count() == 1
    page.fill("input[name=comment]", "as it should be")
    page.get_by_role("button", name="Good", exact=True).click()
    page.get_by_text("Thank you").wait_for()
    assert page.get_by_role("button", name="Good", exact=True).get_attribute("aria-pressed") == "true"
    assert page.get_by_text("as it should be").count() == 1


def test_a_dot_tells_its_lane_when_pointed_at(open_page: Any, gateway: GatewayThread) -> None:
    page = open_page(decision_path(gateway))
    page.locator("svg.large-screen .dot.chosen .point").hover()
    assert "quality" in page.locator(".tip").inner_text()


@pytest.mark.parametrize("has_script", [True, False])
def test_the_playground_answers_beside_a_pinned_lane(has_script: bool, open_page: Any) -> None:
    page = open_page("/playground", has_script=has_script)
    page.fill("textarea", "Prove that there are infinitely many primes.")
    page.select_option("select[name=beside]", "sandbox/large")
    page.get_by_role("button", name="Ask").click()
    page.locator(".answer", has_text="simulated").get_by_role("link", name="open the decision").first.wait_for()
    assert page.locator(".answer").count() == 2
    assert page.locator("#decision svg.large-screen .dot").count() >= 5
    page.get_by_role("link", name="open the decision").first.click()
    page.wait_for_url("**/requests/req_*")


def test_pages_are_used_by_keyboard(open_page: Any) -> None:
    page = open_page("/lanes")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.type("a/b")  # a slash within a field is a slash
    assert page.evaluate("document.activeElement.value") == "a/b"


def test_the_theme_is_chosen_at_once_and_kept(open_page: Any) -> None:
    page = open_page("/budgets", theme="light")
    with page.expect_response("**/theme"):
        page.get_by_role("button", name="Dark").click()
    page.goto("/requests")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_lanes_are_narrowed_as_one_types(open_page: Any) -> None:
    page = open_page("/lanes")
    page.fill("[data-narrow]", "sandbox lar")
    assert page.locator("#lanes tbody tr:visible").count() == 1


@pytest.mark.parametrize("width", [360, 1_440])
def test_day_one_is_clicked_through(browser: "Browser", tmp_path: Path, width: int) -> None:
    messages: list[str] = []
    with ScriptedProvider() as provider, GatewayThread(tmp_path, sandbox="auto", sandbox_pace=0.0) as fresh:
        context = browser.new_context(base_url=fresh.url, viewport={"width": width, "height": 800})
        page = context.new_page()
        page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
        page.set_default_timeout(10_000)
        page.goto("/")
        page.get_by_role("link", name="Paste a key").click()
        page.get_by_label("E-mail").fill("ann@example.com")
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Create the owner").click()

        page.get_by_label("Key", exact=True).fill("sk-or-v1-canary0123456789abcdef")
        page.locator("summary", has_text="More").click()
        page.get_by_label("Address").fill(provider.base_url)
        page.get_by_role("button", name="Store and test").click()
        page.get_by_text("lanes on openrouter@main").wait_for()
        page.get_by_label("Budget of").select_option("provider_key:openrouter@main")
        page.locator("form[action='/budgets']").get_by_label("USD a month").fill("25")
        page.get_by_role("button", name="Set budget").click()
        page.get_by_text("$25 a month").wait_for()
        page.get_by_role("button", name="Issue key").click()
        secret = page.locator("#secret").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") == width

        body = {"model": "smart-route", "messages": [{"role": "user", "content": "What is 17 * 23?"}]}
        answer = httpx.post(
            f"{fresh.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {secret}"}
        )
        assert answer.status_code == 200
        fresh.attempts()
        page.goto(f"/requests/{answer.headers['x-llmdeal-request-id']}")
        page.get_by_text("openrouter@main").first.wait_for()
        page.goto("/keys")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Revoke first").click()
        page.get_by_text("The key is refused from now on.").wait_for()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()
        context.close()
    assert messages == []


@pytest.mark.skipif(find_spec("plotly") is None, reason="the package plotly is not installed")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1_440])
def test_a_plot_is_explored_and_put_back(width: int, theme: str, open_page: Any, gateway: GatewayThread) -> None:
    page = open_page("/?span=24h", width, theme)
    for path in ("/?span=24h", decision_path(gateway)):
        page.goto(path)
        figure = page.locator("figure.plot").first
        assert page.evaluate("window.Plotly === undefined")  # nobody pays for what nobody asked for
        figure.get_by_role("button", name="Explore").click()
        figure.locator(".main-svg").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        axis = "document.querySelector('.explored')._fullLayout.xaxis.range.join()"
        whole = page.evaluate(axis)
        figure.get_by_role("button", name="Zoom in").click()
        page.wait_for_function(f"whole => {axis} !== whole", arg=whole)
        figure.get_by_role("button", name="All").click()
        page.wait_for_function(f"whole => {axis} === whole", arg=whole)
        figure.get_by_role("button", name="Back to the drawing").click()
        assert figure.locator("svg[role=img]").first.is_visible() or figure.locator("svg[role=img]").nth(1).is_visible()


@pytest.mark.skipif(find_spec("plotly") is None, reason="the package plotly is not installed")
def test_an_explored_plot_is_not_swept_away_by_the_next_refresh(open_page: Any, gateway: GatewayThread) -> None:
    page = open_page("/?span=24h")
    page.locator("figure.plot").first.get_by_role("button", name="Explore").click()
    page.locator(".explored .main-svg").first.wait_for()
    page.get_by_role("button", name="Dark").click()
    page.wait_for_function("document.querySelector('.explored .xtick text').style.fill !== ''")
    page.wait_for_timeout(3_500)  # longer than a refresh takes to come
    assert page.locator(".explored .main-svg").count() > 0


def test_without_script_plots_are_drawings(open_page: Any, gateway: GatewayThread) -> None:
    page = open_page(decision_path(gateway), has_script=False)
    assert page.locator("figure.plot svg.large-screen").is_visible()
    assert not page.locator("figure.plot .explore").is_visible()
