"""From the gateway's door to the columns that learning takes: asked, judged, exported, read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from aiohttp import web
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider

from serve.sandbox.lanes import sandbox_lanes
from serve.telemetry.export.export import export_telemetry
from serve.telemetry.priced_lane_repository import PricedLaneRepository
from training.telemetry.reader import read_logs

pytestmark = pytest.mark.slow


def test_lanes_that_come_later_are_written_down_with_their_prices(tmp_path: Path) -> None:
    with (
        GatewayThread(tmp_path, sandbox="on", sandbox_pace=0.0) as gateway,
        httpx.Client(base_url=gateway.url) as client,
    ):

        def lanes_of(account: str) -> tuple[set[str], set[str]]:
            """The lanes that an account has, and those that are written down at its prices."""
            gateway.note_lanes()
            directory = gateway.resources.routing.directories.of(account)
            rows = PricedLaneRepository(gateway.resources.engine).of_snapshots([directory.price_snapshot_id])
            return set(directory.table.lane_ids), {row.lane_id for row in rows}

        has, noted = lanes_of("default")
        assert has == noted == {lane.lane_id for lane in sandbox_lanes()}
        client.post("/admin/v1/accounts", json={"account": "acme"}).raise_for_status()
        body = {"key": "gsk_" + "a" * 40, "provider": "groq"}
        client.post("/admin/v1/accounts/acme/provider-keys", json=body).raise_for_status()
        has, noted = lanes_of("acme")
        assert has == noted
        assert has


def test_what_an_answer_was_charged_by_is_logged_with_both_lengths(tmp_path: Path) -> None:
    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        usage = {"prompt_tokens": 20, "completion_tokens": 50}
        if body["messages"][0]["content"] == "think":
            searches = {"server_tool_use": {"web_search_requests": 2}, "service_tier": "flex"}
            usage |= {"completion_tokens_details": {"reasoning_tokens": 40}, **searches}
        choice = {"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}
        head = {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}
        return web.json_response({**head, "usage": usage, "service_tier": usage.pop("service_tier", None)})

    model = {"upstream_model": "m", "vendor_model": "acme/m", "capabilities": ["reasoning"]}
    prices = {"input_usd_per_mtok": "1", "output_usd_per_mtok": "2"}
    with ScriptedProvider() as provider:
        provider.usually = answer
        servers = [{"id": "mine", "base_url": provider.base_url, "models": [{**model, **prices}]}]
        with GatewayThread(tmp_path, servers=servers, outcome_checks_per_s=0) as gateway:
            for text, fields in (("think", {"reasoning_effort": "high"}), ("say", {"service_tier": "priority"})):
                body = {"model": "acme/m", "messages": [{"role": "user", "content": text}], **fields}
                httpx.post(f"{gateway.url}/v1/chat/completions", json=body).raise_for_status()
            rows = gateway.attempts()
            now = datetime.now(UTC)
            export_telemetry(
                gateway.resources.engine, now - timedelta(hours=1), now + timedelta(hours=1), tmp_path / "out"
            )
    columns = [(row.reasoning_tokens, row.web_searches, row.service_tier, row.stated_effort) for row in rows]
    assert columns == [(40, 2, "flex", "high"), (None, 0, "priority", None)]
    [file] = (tmp_path / "out" / "attempts").glob("**/*.parquet")
    names = ["reasoning_tokens", "web_searches", "service_tier", "stated_effort"]
    assert [tuple(row.values()) for row in pq.read_table(file, columns=names).to_pylist()] == columns
    logs = read_logs(tmp_path / "out")
    assert logs.answer_tokens.tolist() == [50, 50]
    assert logs.reasoning_tokens is not None
    assert np.array_equal(logs.reasoning_tokens, [40, np.nan], equal_nan=True)


def test_what_was_asked_and_judged_is_what_learning_reads(tmp_path: Path) -> None:
    with (
        # Without automatic checks: on a busy machine they come before the export, and count.
        GatewayThread(
            tmp_path, sandbox="on", sandbox_pace=0.0, telemetry_content="full", outcome_checks_per_s=0
        ) as gateway,
        httpx.Client(base_url=f"{gateway.url}/v1") as client,
    ):
        request_ids = []
        for number in range(4):
            body = {
                "model": "smart-route",
                "messages": [{"role": "user", "content": f"What is {number} times {number}?"}],
                **({} if number else {"max_completion_tokens": 25}),
                "route": {"quality_of_best": 0.9} if number == 1 else {"willingness_to_pay": 0.5},
            }
            answer = client.post("/chat/completions", json=body)
            assert answer.status_code == 200, answer.text
            request_ids.append(answer.headers["x-llmdeal-request-id"])
        verdict = {"request_id": request_ids[2], "metric_name": "thumbs", "value": True}
        assert client.post("/feedback", json=verdict).status_code == 202
        rows = gateway.attempts()
        now = datetime.now(UTC)
        export_telemetry(gateway.resources.engine, now - timedelta(hours=1), now + timedelta(hours=1), tmp_path / "out")

    logs = read_logs(tmp_path / "out")

    assert logs.request_ids.tolist() == request_ids
    assert logs.prompts.tolist() == [f"What is {number} times {number}?" for number in range(4)]
    assert dict(zip(logs.lane_ids, logs.trained_names, strict=True)) == {
        lane.lane_id: lane.trained_name for lane in sandbox_lanes()
    }
    assert np.array_equal(logs.reward, [np.nan, np.nan, 1, np.nan], equal_nan=True)
    assert np.isfinite(logs.features).all()
    assert logs.is_eligible.all()
    assert logs.is_answered.all()
    assert logs.cost_usd.tolist() == [(row.cost_nusd or 0) / 1e9 for row in rows]
    assert [row.max_output_tokens for row in rows] == [25, None, None, None]
    assert [row.quality_of_best for row in rows] == [None, 0.9, None, None]
