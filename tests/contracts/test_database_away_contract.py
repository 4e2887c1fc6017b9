"""The database of a running gateway becomes unreachable.

Callers get an error and may try again; requests that need no database are still answered.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider
from sqlalchemy import create_engine, make_url

from serve.storage.database import create_telemetry_engine

pytestmark = pytest.mark.slow

MODEL = {
    "upstream_model": "llama",
    "vendor_model": "meta/llama",
    "input_usd_per_mtok": "0.5",
    "output_usd_per_mtok": "1.5",
}
BODY: Any = {"model": "smart-route", "messages": [{"role": "user", "content": "What is 17 * 23?"}], "max_tokens": 10}
TABLES = ("budget_lease", "attempt", "idempotent_request", "identity_version")


@contextmanager
def away(url: str) -> Iterator[None]:
    """Take the database away while the block runs: PostgreSQL's whole, of SQLite's file the tables."""
    if url.startswith("sqlite"):
        engine = create_telemetry_engine(url)

        def rename(pattern: str) -> None:
            with engine.begin() as connection:
                for table in TABLES:
                    connection.exec_driver_sql(pattern.format(table))

        rename("ALTER TABLE {0} RENAME TO {0}_away")
        yield
        rename("ALTER TABLE {0}_away RENAME TO {0}")
    else:
        name = make_url(url).database
        engine = create_engine(make_url(url).set(database="postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            connection.exec_driver_sql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            )
            yield
            connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    engine.dispose()


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


def ask(gateway: GatewayThread, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
    return httpx.post(gateway.url + path, json=BODY, headers=headers, timeout=30)


def assert_says_so(answer: httpx.Response, code: str = "database_away") -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, code)
    assert int(answer.headers["retry-after"]) >= 1


def test_a_request_whose_budget_cannot_be_looked_up_is_503_and_answered_when_the_database_is_back(
    new_url: str, tmp_path: Path, provider: ScriptedProvider
) -> None:
    servers = [{"id": "box", "base_url": provider.base_url, "models": [MODEL]}]
    with GatewayThread(tmp_path, database=new_url, servers=servers, monthly_budget_usd="1") as gateway:
        with away(new_url):
            assert_says_so(ask(gateway))
            assert_says_so(ask(gateway, **{"idempotency-key": "7c1e"}), "idempotency_unavailable")
            feedback = {"request_id": f"req_{'0' * 24}", "metric_name": "thumb", "value": 1}
            assert_says_so(httpx.post(f"{gateway.url}/v1/feedback", json=feedback))
            page = httpx.get(f"{gateway.url}/requests", headers={"accept": "text/html"})
            assert page.status_code == 503
            assert "The database does not answer" in page.text
            assert provider.requests == []
        answers = [ask(gateway)]
        while answers[-1].status_code == 503 and len(answers) < 200:  # that it was away is believed for a second
            answers.append(ask(gateway))
        assert answers[-1].status_code == 200


def test_a_lane_whose_own_budget_cannot_be_looked_up_is_passed_over(
    new_url: str, tmp_path: Path, provider: ScriptedProvider
) -> None:
    limited = {"id": "limited", "base_url": provider.base_url, "models": [MODEL], "monthly_budget_usd": "1"}
    free = {"id": "free", "base_url": provider.base_url, "models": [{**MODEL, "output_usd_per_mtok": "9"}]}
    with GatewayThread(tmp_path, database=new_url, servers=[limited, free]) as gateway, away(new_url):
        answer = ask(gateway)
        assert (answer.status_code, answer.headers["x-llmdeal-lane"]) == (200, "free/llama")
