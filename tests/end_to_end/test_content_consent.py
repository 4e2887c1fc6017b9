"""An account chooses how much of its requests is logged, and deletes what was logged.

It does so over the admin API, the dashboard and the command line.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.gateway_thread import GatewayThread

from router.telemetry_schema import AttemptRow
from serve.identity.virtual_keys import issue_virtual_key

pytestmark = pytest.mark.slow

OPERATOR = issue_virtual_key()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayThread]:
    keys = [{"name": "operator", "key": OPERATOR, "scopes": ["owner", "inference"]}]
    with GatewayThread(
        tmp_path, virtual_keys=keys, sandbox="on", sandbox_pace=0.0, telemetry_content="full"
    ) as running:
        yield running


@pytest.fixture
def client(gateway: GatewayThread) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {OPERATOR}"}, timeout=30) as client:
        yield client


def ask(client: httpx.Client, words: str) -> str:
    body = {"model": "smart-route", "messages": [{"role": "user", "content": words}]}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-llmdeal-request-id"]


def set_content(client: httpx.Client, level: str | None) -> dict[str, Any]:
    answer = client.patch("/admin/v1/accounts/default", json={"logged_content": level})
    assert answer.status_code == 200, answer.text
    account: dict[str, Any] = answer.json()
    return account


def kept(row: AttemptRow) -> tuple[bool, bool, bool]:
    return row.prompt_text is not None, row.answer_text is not None, row.features is not None


def test_what_is_logged_follows_the_account_at_once(gateway: GatewayThread, client: httpx.Client) -> None:
    for level in (None, "features", "none", "full", None):
        assert set_content(client, level)["logged_content"] == level
        ask(client, f"level {level}")

    assert [kept(row) for row in gateway.attempts()] == [
        (True, True, True),
        (False, False, True),
        (False, False, False),
        (True, True, True),
        (True, True, True),
    ]
    assert client.patch("/admin/v1/accounts/default", json={"logged_content": "everything"}).status_code == 400


def test_an_account_cannot_have_more_logged_than_the_gateway_logs(tmp_path: Path) -> None:
    keys = [{"name": "operator", "key": OPERATOR, "scopes": ["owner", "inference"]}]
    with (
        GatewayThread(
            tmp_path, virtual_keys=keys, sandbox="on", sandbox_pace=0.0, telemetry_content="features"
        ) as gateway,
        httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {OPERATOR}"}, timeout=30) as client,
    ):
        set_content(client, "full")
        ask(client, "hello")
        (row,) = gateway.attempts()
    assert kept(row) == (False, False, True)


def test_what_was_logged_is_deleted_what_still_waited_to_be_stored_included(
    gateway: GatewayThread, client: httpx.Client
) -> None:
    request_id = ask(client, "forget me")
    client.post(
        "/v1/feedback", json={"request_id": request_id, "metric_name": "thumbs", "value": 1, "comment": "and this"}
    )

    answer = client.post("/admin/v1/accounts/default/forget", json={}).json()

    (row,) = gateway.attempts()
    assert (answer["account"], answer["kept"], answer["n_attempts"]) == ("default", "none", 1)
    assert (kept(row), row.features_version) == ((False, False, False), None)
    assert client.get("/admin/v1/accounts/default/audit").json()["data"][0]["action"] == "account.forget"

    assert client.post("/admin/v1/accounts/default/forget", json={"rows": True}).json()["kept"] == "nothing"
    assert gateway.attempts() == []
