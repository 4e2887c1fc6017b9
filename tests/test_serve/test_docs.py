"""What can be set, asked for or returned is documented."""

import re
from pathlib import Path

import pytest
from checkout import ROOT
from fastapi import FastAPI
from fastapi.routing import APIRoute

from router.policies.kind import PolicyKind
from router.policies.registry import POLICIES, REASONS
from serve import errors
from serve.catalogue.provider_rows import ProviderRow, load_provider_rows
from serve.dashboard.page import NAVIGATION
from serve.dialects.registry import upstream_dialects
from serve.http import feedback, health, models
from serve.http.admin.routes import routes as admin_api
from serve.packaged_files import data_dir
from serve.settings import Settings, load_settings

DOCS = ROOT / "docs"


def codes() -> list[str]:
    classes = [
        thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, errors.RequestError)
    ]
    return sorted({cls.code for cls in classes})


@pytest.mark.parametrize("code", codes())
def test_every_error_code_is_in_the_api_page(code: str) -> None:
    assert f"`{code}`" in (DOCS / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("reason", list(REASONS))
def test_every_reason_is_in_the_api_page(reason: str) -> None:
    assert f"| `{reason}` |" in (DOCS / "api.md").read_text(encoding="utf-8")


def test_every_endpoint_is_in_the_api_page() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    paths = [
        route.path
        for module in (feedback, health, models)
        for route in module.routes.routes
        if isinstance(route, APIRoute)
    ]
    assert len(paths) >= 5
    for path in [
        *paths,
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/responses/input_tokens",
        "/v1/embeddings",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/route",
    ]:
        assert f" {path.replace(':path', '')}`" in page, path


def admin_paths() -> list[str]:
    app = FastAPI()
    app.include_router(admin_api)
    return sorted(app.openapi()["paths"])


@pytest.mark.parametrize("path", admin_paths())
def test_every_admin_endpoint_is_on_the_page_of_keys_or_of_bundles(path: str) -> None:
    """The table of docs/keys.md shortens paths, so the last word of a path that is fixed is enough."""
    pages = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("keys.md", "bundles.md"))
    word = [part for part in path.split("/") if not part.startswith("{")][-1]
    assert re.search(rf"^\| .*(GET|POST|PUT|PATCH|DELETE) .*/{word}\b", pages, re.MULTILINE), path


@pytest.mark.parametrize(("path", "name"), NAVIGATION)
def test_every_page_of_the_dashboard_is_in_the_table_of_pages(path: str, name: str) -> None:
    assert f"| `{path}` " in (DOCS / "dashboard.md").read_text(encoding="utf-8"), name


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_settings_page(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(upstream_dialects()))
def test_every_dialect_of_a_server_is_in_the_settings_page(name: str) -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    line = next(line for line in page.splitlines() if line.startswith("| `dialect` |"))
    assert re.search(rf"\b{name}\b", line)


@pytest.mark.parametrize("kind", POLICIES.values(), ids=list(POLICIES))
def test_every_policy_is_in_the_settings_page_with_its_number(kind: PolicyKind) -> None:
    number = f"`{kind.number.setting}`" if kind.number else ""
    assert f"| `{kind.name}` | {number} | {kind.help} |" in (DOCS / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("row", load_provider_rows(data_dir() / "providers"), ids=lambda row: row.id)
def test_every_provider_is_in_the_table(row: ProviderRow) -> None:
    page = (DOCS / "providers.md").read_text(encoding="utf-8")
    line = next((line for line in page.splitlines() if f"| `{row.id}` |" in line), None)
    assert line is not None, f"docs/providers.md: add a line for {row.id} to the table"
    assert line.startswith(f"| {row.name} |")
    assert row.credentials != "key" or not row.needs_key or f"`{row.key_env[0]}`" in line


@pytest.mark.parametrize("row", load_provider_rows(data_dir() / "providers"), ids=lambda row: row.id)
def test_the_table_of_regions_says_what_the_rows_say(row: ProviderRow) -> None:
    page = (DOCS / "regions.md").read_text(encoding="utf-8")
    line = next((line for line in page.splitlines() if line.startswith(f"| `{row.id}` |")), None)
    assert line is not None, f"docs/regions.md: add a line for {row.id} to the table"
    _, _, as_it_is, eu, us, _ = (cell.strip() for cell in line.split("|"))
    assert as_it_is == ("global" if row.id == "bedrock" else row.region or "unknown")
    for region, cell in (("eu", eu), ("us", us)):
        offered = row.regions.get(region)  # type: ignore[call-overload]
        assert bool(cell) == (offered is not None or row.base_url is None), (row.id, region)
        assert ("×" in cell) == (offered is not None and offered.price_factor != 1)
        assert offered is None or offered.price_factor == 1 or cell.endswith(f"×{offered.price_factor}")


def test_the_configuration_of_the_migration_guide_is_one(tmp_path: Path) -> None:
    page = (DOCS / "migrating.md").read_text(encoding="utf-8")
    config = tmp_path / "llmdeal.toml"
    config.write_text(page.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    settings = load_settings(config, {})
    assert settings.providers["openai"].region == "eu"
    assert settings.servers[0].models[0].upstream_model == "qwen3-32b"


def test_every_trap_names_tests_that_exist() -> None:
    page = (DOCS / "traps.md").read_text(encoding="utf-8")
    traps = re.split(r"^### ", page, flags=re.MULTILINE)[1:]
    assert len(traps) >= 21
    for trap in traps:
        assert "- **Trap:** " in trap
        assert "- **Here:** " in trap
        shown_by = [
            (path, name)
            for path, names in re.findall(r"^`(tests/[\w/]+\.py)`:\n\n((?:- `test_\w+`\n)+)", trap, re.MULTILINE)
            for name in re.findall(r"test_\w+", names)
        ]
        assert shown_by, trap
        assert len(shown_by) == trap.count("`test_"), trap
        for path, name in shown_by:
            assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), name


@pytest.mark.parametrize("script", sorted((DOCS / "clients").iterdir()), ids=lambda path: path.name)
def test_every_client_script_is_on_its_page_as_it_is_run(script: Path) -> None:
    assert f"\n{script.read_text(encoding='utf-8')}```" in (DOCS / "clients.md").read_text(encoding="utf-8")
