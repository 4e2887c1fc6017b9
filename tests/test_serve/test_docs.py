"""What can be set, asked for or returned is documented."""

from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from router.policies.registry import POLICIES
from router.reason import Reason
from serve import errors
from serve.http import feedback, health, models
from serve.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def codes() -> list[str]:
    classes = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, errors.RequestError)]
    return sorted({cls.code for cls in classes})


@pytest.mark.parametrize("code", codes())
def test_every_error_code_is_in_the_api_page(code: str) -> None:
    assert f"`{code}`" in (DOCS / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_in_the_api_page(reason: Reason) -> None:
    assert f"| `{reason.value}` |" in (DOCS / "api.md").read_text(encoding="utf-8")


def test_every_endpoint_is_in_the_api_page() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    paths = [route.path for module in (feedback, health, models) for route in module.routes.routes if isinstance(route, APIRoute)]
    assert len(paths) >= 5
    for path in [*paths, "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/v1/route"]:
        assert f" {path}`" in page, path


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_settings_page(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_policy_is_in_the_settings_page(name: str) -> None:
    assert f"`{name}`" in (DOCS / "settings.md").read_text(encoding="utf-8")
