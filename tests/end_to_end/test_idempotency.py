"""`Idempotency-Key` through the public doors: answered and charged once, whatever happens to the line."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from aiohttp import web
from fakes.cutting_proxy import CuttingProxy
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import (
    Behaviour,
    ScriptedProvider,
    answer,
    answer_after,
    answer_with,
    break_off,
    refuse,
    stream_events,
)
from sqlalchemy import select

from serve.identity.virtual_keys import issue_virtual_key
from serve.money.budget_repository import BudgetRepository
from serve.storage.idempotency_tables import IDEMPOTENCY_TABLE

pytestmark = pytest.mark.slow

KEY, OTHER = issue_virtual_key(), issue_virtual_key()
MESSAGES: Any = [{"role": "user", "content": "What is 17 * 23?"}]
MODEL = {
    "upstream_model": "llama",
    "vendor_model": "meta/llama",
    "input_usd_per_mtok": "0.5",
    "output_usd_per_mtok": "1.5",
}
VECTORS = {"kind": "embedding", "upstream_model": "embed", "vendor_model": "acme/embed", "input_usd_per_mtok": "0.1"}
ANSWER_NUSD = 11 * 500 + 7 * 1_500


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


def started(folder: Path, provider: ScriptedProvider, **settings: Any) -> GatewayThread:
    keys = [{"name": "ci", "key": KEY}, {"name": "other", "key": OTHER}]
    servers = [{"id": "box", "base_url": provider.base_url, "models": [MODEL, VECTORS]}]
    return GatewayThread(folder, **{"virtual_keys": keys, "servers": servers, **settings})


@pytest.fixture
def gateway(tmp_path: Path, provider: ScriptedProvider) -> Iterator[GatewayThread]:
    with started(tmp_path, provider) as running:
        yield running


def ask(
    url: str,
    idempotency_key: str | None = "order-66",
    path: str = "/v1/chat/completions",
    key: str = KEY,
    **fields: Any,
) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    if idempotency_key is not None:
        headers["idempotency-key"] = idempotency_key
    body = {"model": "smart-route", "messages": MESSAGES, "max_tokens": 10, **fields}
    return httpx.post(f"{url}{path}", json=body, headers=headers, timeout=30)


def wait_until_answered(url: str, **fields: Any) -> httpx.Response:
    """Ask again while the first one is under way, as SDKs do."""
    while (again := ask(url, **fields)).status_code == 409:
        assert again.headers["retry-after"] == "1"
        threading.Event().wait(0.02)
    return again


def spent_nusd(gateway: GatewayThread) -> int:
    asyncio.run_coroutine_threadsafe(gateway.resources.budgets.flush(), gateway._loop).result(10)
    return BudgetRepository(gateway.resources.engine).ledger_total("account:default", f"{datetime.now(UTC):%Y-%m}")


def stored(gateway: GatewayThread) -> list[Any]:
    with gateway.resources.engine.connect() as connection:
        return list(connection.execute(select(IDEMPOTENCY_TABLE)))


def test_a_request_that_comes_again_gets_the_same_answer_and_is_paid_for_once(
    gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    first, again = ask(gateway.url), ask(gateway.url)
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    ours = {name: value for name, value in first.headers.items() if name.startswith("x-llmdeal-")}
    assert len(ours) >= 8
    assert ours == {name: value for name, value in again.headers.items() if name.startswith("x-llmdeal-")}
    assert again.headers["content-type"] == first.headers["content-type"]
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    assert len(provider.requests) == len(gateway.attempts()) == 1
    assert spent_nusd(gateway) == ANSWER_NUSD
    assert "llmdeal_idempotent_replays_total 1.0" in httpx.get(f"{gateway.url}/metrics").text


def test_without_the_header_every_request_is_its_own(gateway: GatewayThread, provider: ScriptedProvider) -> None:
    assert [ask(gateway.url, None).status_code for _ in range(2)] == [200, 200]
    assert len(provider.requests) == 2
    assert stored(gateway) == []


def test_a_stream_comes_again_byte_for_byte(gateway: GatewayThread, provider: ScriptedProvider) -> None:
    first, again = ask(gateway.url, stream=True), ask(gateway.url, stream=True)
    assert first.content == again.content
    assert again.content.endswith(b"data: [DONE]\n\n")
    assert again.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert again.headers["idempotent-replayed"] == "true"
    assert len(provider.requests) == 1


async def embed(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    data = [{"object": "embedding", "index": 0, "embedding": [0.25]}]
    return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 3}})


@pytest.mark.parametrize(
    ("path", "fields", "behaviour"),
    [
        ("/v1/messages", {}, answer),
        ("/v1/responses", {"input": "hi"}, answer),
        ("/v1/embeddings", {"model": "acme/embed", "input": "hi"}, embed),
    ],
)
def test_the_other_doors_do_the_same(
    gateway: GatewayThread, provider: ScriptedProvider, path: str, fields: dict[str, Any], behaviour: Behaviour
) -> None:
    provider.usually = behaviour
    body = (
        {"model": "smart-route", "messages": MESSAGES, "max_tokens": 10}
        if path == "/v1/messages"
        else {"model": "smart-route"}
    )
    headers = {"authorization": f"Bearer {KEY}", "idempotency-key": "k"}
    first, again = (httpx.post(f"{gateway.url}{path}", json={**body, **fields}, headers=headers) for _ in range(2))
    assert (first.status_code, again.headers["idempotent-replayed"]) == (200, "true"), first.text
    assert again.content == first.content
    assert len(provider.requests) == 1
    mismatch = httpx.post(f"{gateway.url}{path}", json={**body, **fields, "user": "someone"}, headers=headers)
    assert (mismatch.status_code, mismatch.json()["error"]["code"]) == (422, "idempotency_mismatch")
    if path == "/v1/messages":
        assert mismatch.json()["error"]["type"] == "invalid_request_error"
        assert mismatch.json()["type"] == "error"


def test_the_same_key_with_another_request_is_refused(gateway: GatewayThread, provider: ScriptedProvider) -> None:
    assert ask(gateway.url).status_code == 200
    others = [
        ask(gateway.url, temperature=0.5),
        ask(gateway.url, key=OTHER),
        ask(gateway.url, path="/v1/messages"),
    ]
    assert [(other.status_code, other.json()["error"]["code"]) for other in others] == [
        (422, "idempotency_mismatch")
    ] * 3
    assert others[0].json()["error"]["param"] == "idempotency-key"
    with (
        openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY) as client,
        pytest.raises(openai.UnprocessableEntityError, match="used for another request"),
    ):
        client.chat.completions.create(
            model="smart-route",
            messages=[{"role": "user", "content": "?"}],
            extra_headers={"Idempotency-Key": "order-66"},
        )
    assert len(provider.requests) == 1


def test_of_sixteen_at_once_one_is_answered(gateway: GatewayThread, provider: ScriptedProvider) -> None:
    release = threading.Event()
    provider.script = [answer_after(release)]
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask, gateway.url) for _ in range(16)]
        assert provider.was_asked.wait(10)
        refused = ask(gateway.url)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_in_progress")
        assert refused.headers["retry-after"] == "1"
        release.set()
        statuses = [future.result().status_code for future in asked]
    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    assert len(provider.requests) == 1


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_an_sdk_whose_line_was_cut_gets_its_answer_and_pays_once(
    gateway: GatewayThread, provider: ScriptedProvider, dialect: str
) -> None:
    release = threading.Event()
    provider.script = [answer_after(release)]

    def once_it_was_asked() -> None:
        assert provider.was_asked.wait(10)

    with CuttingProxy(gateway.url, 1, once_it_was_asked) as proxy:
        threading.Timer(0.2, release.set).start()
        once = {"Idempotency-Key": "order-66"}
        if dialect == "openai":
            with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=KEY, max_retries=5) as client:
                chat = client.chat.completions.create(model="smart-route", messages=MESSAGES, extra_headers=once)
            assert chat.choices[0].message.content == "The answer is 391."
        else:
            with anthropic.Anthropic(base_url=proxy.url, api_key=KEY, max_retries=5) as claude:
                message = claude.messages.create(
                    model="smart-route", messages=MESSAGES, max_tokens=10, extra_headers=once
                )
            assert message.content[0].type == "text"
            assert message.content[0].text == "The answer is 391."
        assert proxy.n_connections >= 2
    assert len(provider.requests) == len(gateway.attempts()) == 1
    assert spent_nusd(gateway) == ANSWER_NUSD


def test_the_sdks_send_no_key_of_their_own(gateway: GatewayThread, provider: ScriptedProvider) -> None:
    """Should they begin to, the documentation is to say so."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY) as client:
        client.chat.completions.create(model="smart-route", messages=MESSAGES)
    with anthropic.Anthropic(base_url=gateway.url, api_key=KEY) as claude:
        claude.messages.create(model="smart-route", messages=MESSAGES, max_tokens=10)
    assert len(provider.requests) == 2
    assert stored(gateway) == []


def test_a_caller_that_leaves_a_stream_finds_all_of_it_when_it_comes_back(
    gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    release = threading.Event()

    async def slowly(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        first, *others = stream_events(body["model"])
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(first)
        assert await asyncio.to_thread(release.wait, 10)
        await response.write(b"".join(others))
        return response

    provider.script = [slowly]
    headers = {"authorization": f"Bearer {KEY}", "idempotency-key": "order-66"}
    body = {"model": "smart-route", "messages": MESSAGES, "max_tokens": 10, "stream": True}
    with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=body, headers=headers) as response:
        next(response.iter_bytes())
    assert ask(gateway.url, stream=True).status_code == 409
    release.set()
    again = wait_until_answered(gateway.url, stream=True)
    assert again.text.count("chat.completion.chunk") == 5
    assert again.content.endswith(b"data: [DONE]\n\n")
    assert len(provider.requests) == 1
    assert [row.outcome for row in gateway.attempts()] == ["ok"]
    assert spent_nusd(gateway) == ANSWER_NUSD


def test_without_the_header_a_caller_that_leaves_still_ends_the_call(
    gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    provider.script = [provider.hang]
    body = {"model": "smart-route", "messages": MESSAGES, "stream": True}
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=body, headers=headers) as response:
        next(response.iter_bytes())
    assert provider.hang_ended.wait(5)


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [(refuse(400), 400), (refuse(503), 502)],
    ids=["refused by the provider", "all lanes failed"],
)
def test_a_request_that_failed_may_be_tried_again_with_its_key(
    gateway: GatewayThread, provider: ScriptedProvider, behaviour: Behaviour, status: int
) -> None:
    provider.usually = behaviour
    failed = ask(gateway.url)
    assert failed.status_code in (status, 503), failed.text
    assert stored(gateway) == []


def test_a_refused_key_may_be_used_for_a_mended_request(gateway: GatewayThread, provider: ScriptedProvider) -> None:
    assert ask(gateway.url, max_tokens=-1).status_code == 400
    mended = ask(gateway.url)
    assert (mended.status_code, mended.headers.get("idempotent-replayed")) == (200, None)


def test_a_stream_that_broke_was_paid_for_and_comes_again_as_it_was(
    gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    provider.script = [break_off]
    first, again = ask(gateway.url, stream=True), ask(gateway.url, stream=True)
    assert "stream_broken" in first.text
    assert first.content == again.content
    assert len(provider.requests) == 1


def test_an_answer_too_long_to_keep_is_not_paid_for_again(tmp_path: Path, provider: ScriptedProvider) -> None:
    with started(tmp_path, provider, idempotency_max_bytes=100) as gateway:
        assert ask(gateway.url).status_code == 200
        again = ask(gateway.url)
        assert (again.status_code, again.json()["error"]["code"]) == (410, "idempotency_answer_not_kept")
        assert "idempotency_max_bytes" in again.json()["error"]["message"]
        assert [(row.status, row.body) for row in stored(gateway)] == [(200, None)]
        assert len(provider.requests) == 1


@pytest.mark.parametrize("idempotency_key", ["", "a b", "x" * 256, "schlüssel"])
def test_a_malformed_key_is_refused(gateway: GatewayThread, provider: ScriptedProvider, idempotency_key: str) -> None:
    headers = {b"authorization": f"Bearer {KEY}".encode(), b"idempotency-key": idempotency_key.encode("latin-1")}
    body = {"model": "smart-route", "messages": MESSAGES}
    refused = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "idempotency-key")
    assert provider.requests == []


def test_nobody_without_a_virtual_key_learns_what_was_answered(
    gateway: GatewayThread, provider: ScriptedProvider
) -> None:
    assert ask(gateway.url).status_code == 200
    assert ask(gateway.url, key=issue_virtual_key()).status_code == 401


def test_answers_are_sealed_and_survive_a_restart(tmp_path: Path, provider: ScriptedProvider) -> None:
    provider.usually = answer_with(completion_tokens=3)
    with started(tmp_path, provider) as gateway:
        first = ask(gateway.url)
        [row] = stored(gateway)
        assert row.is_sealed
        assert b"391" not in row.body
    with started(tmp_path, provider) as gateway:
        again = ask(gateway.url)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    files = b"".join(file.read_bytes() for file in tmp_path.glob("llmdeal.db*"))
    assert b"The answer is 391." not in files


def test_an_answer_whose_master_key_is_gone_is_not_given_and_not_paid_for_again(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    with started(tmp_path, provider) as gateway:
        assert ask(gateway.url).status_code == 200
    (tmp_path / "config" / "llmdeal" / "master.key").unlink()
    with started(tmp_path, provider) as gateway:
        assert ask(gateway.url).json()["error"]["code"] == "idempotency_answer_not_kept"
    assert len(provider.requests) == 1


def test_workers_know_of_each_others_requests(tmp_path: Path, provider: ScriptedProvider) -> None:
    release = threading.Event()
    provider.script = [answer_after(release)]
    with started(tmp_path, provider) as one, started(tmp_path, provider) as other, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, one.url)
        assert provider.was_asked.wait(10)
        assert ask(other.url).status_code == 409
        release.set()
        first = asked.result()
        again = ask(other.url)
        assert again.content == first.content
        assert again.headers["idempotent-replayed"] == "true"
    assert len(provider.requests) == 1


def test_replays_take_nothing_of_the_keys_limits(tmp_path: Path, provider: ScriptedProvider) -> None:
    keys = [{"name": "ci", "key": KEY, "requests_per_minute": 2}]
    with started(tmp_path, provider, virtual_keys=keys) as gateway:
        answers = [ask(gateway.url) for _ in range(5)]
        assert [answered.status_code for answered in answers] == [200] * 5
        assert "x-ratelimit-remaining-requests" not in answers[-1].headers
        assert ask(gateway.url, "next").status_code == 200
        assert ask(gateway.url, "one-too-many").status_code == 429
        assert len(stored(gateway)) == 2


def test_answers_are_gone_after_a_day(gateway: GatewayThread) -> None:
    assert ask(gateway.url).status_code == 200
    with gateway.resources.engine.begin() as connection:
        [expiry] = connection.execute(select(IDEMPOTENCY_TABLE.c.expires_at_us)).scalars()
        left_s = expiry / 1e6 - datetime.now(UTC).timestamp()
        assert 86_300 < left_s <= 86_400
        connection.execute(IDEMPOTENCY_TABLE.update().values(expires_at_us=1))
    swept = asyncio.run_coroutine_threadsafe(gateway.background("idempotency").sweep(), gateway._loop).result(10)
    assert swept == 1
    assert stored(gateway) == []


def test_while_the_database_is_away_nothing_is_risked(gateway: GatewayThread, provider: ScriptedProvider) -> None:
    with gateway.resources.engine.begin() as connection:
        IDEMPOTENCY_TABLE.drop(connection)
    refused = ask(gateway.url)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "idempotency_unavailable")
    assert refused.headers["retry-after"] == "1"
    assert provider.requests == []
    assert ask(gateway.url, None).status_code == 200
