"""Budget alerts by a running gateway: what is spent through its door arrives, signed, at a real receiver."""

from pathlib import Path

import httpx
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider
from fakes.webhook_receiver import SECRET, WebhookReceiver

pytestmark = pytest.mark.slow

MODEL = {
    "upstream_model": "llama",
    "vendor_model": "meta/llama",
    "input_usd_per_mtok": "0.5",
    "output_usd_per_mtok": "1.5",
}


def test_a_running_gateway_tells_how_far_its_budget_is_spent(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, WebhookReceiver(max_age_s=60) as receiver:
        budget = "0.0001"  # for some six answers of 0.000016 each
        alerts = {"webhook_url": receiver.url, "secret_env": "HOOK_SECRET"}
        servers = [{"id": "box", "base_url": provider.base_url, "models": [MODEL]}]
        environment = {"HOOK_SECRET": SECRET}
        with GatewayThread(tmp_path, environment, monthly_budget_usd=budget, servers=servers, alerts=alerts) as gateway:
            body = {
                "model": "smart-route",
                "messages": [{"role": "user", "content": "What is 17 * 23?"}],
                "max_tokens": 7,
            }
            statuses: set[int] = set()
            while 402 not in statuses:
                statuses.add(httpx.post(f"{gateway.url}/v1/chat/completions", json=body, timeout=30).status_code)
            for _ in range(3):
                assert receiver.arrived.acquire(timeout=10)
            assert sorted(alert["data"]["threshold"] for alert in receiver.received) == [50, 80, 100]
            assert {alert["data"]["scope"] for alert in receiver.received} == {"account:default"}
            assert len(set(receiver.ids)) == 3
            shown = httpx.get(f"{gateway.url}/metrics").text
            assert 'llmdeal_budget_alerts_total{outcome="delivered"} 3.0' in shown
