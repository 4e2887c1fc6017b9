"""What a caller may write as `model`, and what is said to one who misspells it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fakes.gateway_thread import GatewayThread

pytestmark = pytest.mark.slow

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayThread]:
    folder: Path = tmp_path_factory.mktemp("names")
    with GatewayThread(folder, sandbox="on", sandbox_pace=0.0) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "more"), [("/v1/chat/completions", {}), ("/v1/messages", {"max_tokens": 5}), ("/v1/responses", {})]
)
def test_a_misspelt_model_gets_close_names_in_the_callers_dialect(
    path: str, more: dict[str, object], gateway: GatewayThread
) -> None:
    field = "input" if path == "/v1/responses" else "messages"
    refused = httpx.post(f"{gateway.url}{path}", json={"model": "sandbox/smal", field: MESSAGES, **more})
    assert refused.status_code == 404
    error = refused.json()["error"]
    assert "No lane is called 'sandbox/smal'. Did you mean 'sandbox/small'" in error["message"]
    assert error.get("code", "model_not_found") == "model_not_found"
    assert (refused.json().get("type") == "error") == (path == "/v1/messages")


def test_a_name_like_no_other_gets_the_forms_of_names(gateway: GatewayThread) -> None:
    refused = httpx.post(f"{gateway.url}/v1/chat/completions", json={"model": "zzz" * 90, "messages": MESSAGES})
    message = refused.json()["error"]["message"]
    assert "Use 'smart-route', 'vendor/model' or 'provider:vendor/model'." in message
    assert len(message) < 300
