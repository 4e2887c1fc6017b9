"""The operator chooses the policy of smart-route while the gateway runs: the choice is stored and audited.

It holds at once in this worker, and within a second in others.
"""

import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.gateway_thread import GatewayThread

pytestmark = pytest.mark.slow

MESSAGES: Any = [{"role": "user", "content": "Prove that there are infinitely many primes, in Lean."}]


def policy_of(gateway: GatewayThread) -> tuple[str, str]:
    body = {"model": "smart-route", "messages": MESSAGES}
    asked = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, timeout=30)
    asked.raise_for_status()
    return gateway.attempts()[-1].policy, asked.headers["x-llmdeal-lane"]


def choose(client: httpx.Client, **fields: str) -> httpx.Response:
    page = client.get("/settings").text
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    assert token
    return client.post("/settings/policy", data={"form_token": token[1], **fields})


def test_a_chosen_policy_holds_at_once_wins_over_the_settings_survives_a_start_and_can_be_taken_back(
    tmp_path: Path,
) -> None:
    with (
        GatewayThread(tmp_path, sandbox="auto", sandbox_pace=0.0, policy="cheapest") as gateway,
        GatewayThread(tmp_path, sandbox="auto", sandbox_pace=0.0, policy="cheapest") as other,
        httpx.Client(base_url=gateway.url, timeout=30) as client,
    ):
        assert policy_of(gateway)[0] == "cheapest"
        for wrong in (
            {"policy": "near_best", "number_near_best": "1.5"},
            {"policy": "near_best", "number_near_best": "nan"},
            {"policy": "best_value", "number_best_value": "much"},
            {"policy": "cheapest"},
        ):
            assert choose(client, **wrong).status_code == 400
        assert choose(client, policy="best_value", number_best_value="1000").status_code == 303
        assert policy_of(gateway)[0] == "best_value"
        assert "chosen here" in client.get("/settings").text
        ends_at = time.monotonic() + 10
        while other.resources.routing.default_policy.name != "best_value":
            assert time.monotonic() < ends_at
            time.sleep(0.05)
        entry = gateway.resources.identity.audit.entries("default", limit=1)[0]
        assert (entry.action, entry.details) == ("setting.choose", {"policy": "best_value", "number": 1000.0})
    with GatewayThread(tmp_path, sandbox="auto", sandbox_pace=0.0, policy="cheapest") as again:
        assert policy_of(again)[0] == "best_value"
        with httpx.Client(base_url=again.url, timeout=30) as client:
            assert choose(client, to="settings").status_code == 303
        assert policy_of(again)[0] == "cheapest"


def test_the_environment_wins_over_what_was_chosen_and_the_page_says_so(tmp_path: Path) -> None:
    environment = {"LLMDEAL_POLICY": "cheapest"}
    with (
        GatewayThread(tmp_path, environment, sandbox="auto", sandbox_pace=0.0, policy="cheapest") as gateway,
        httpx.Client(base_url=gateway.url, timeout=30) as client,
    ):
        assert choose(client, policy="near_best", number_near_best="0.9").status_code == 303
        assert policy_of(gateway)[0] == "cheapest"
        assert "LLMDEAL_POLICY is set in the environment and wins" in client.get("/settings").text
