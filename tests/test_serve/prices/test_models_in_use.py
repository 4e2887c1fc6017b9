"""Models in use: asked in the last 30 days by any account, or named by a virtual key; others hold no table up."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from fakes.price_server import PriceServer, published, times
from sqlalchemy import Engine
from telemetry_strategies import attempt_row

from serve.catalogue.price_sources import PriceSources, PriceUse
from serve.prices.models_in_use import ModelsInUse
from serve.prices.refresh import PriceRefresh
from serve.prices.sources import sources_of
from serve.prices.store import PriceStore
from serve.settings import Settings
from serve.storage.database import open_database
from serve.telemetry.attempt_repository import AttemptRepository

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MINI, NANO, FULL, ROUTED = (
    PriceUse(provider, name, provider, name)
    for provider, name in (
        ("openai", "gpt-5.4-mini"),
        ("openai", "gpt-5.4-nano"),
        ("openai", "gpt-5.4"),
        ("openrouter", "openai/gpt-5.4-mini"),
    )
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(str(tmp_path / "llmdeal.db"))
    yield engine
    engine.dispose()


def priced() -> dict[PriceUse, None]:
    return dict.fromkeys((MINI, NANO, FULL, ROUTED))


def log(engine: Engine, number: int, provider: str, model: str, days_ago: float, account: str = "default") -> None:
    row = attempt_row(number, provider=provider, upstream_model=model, account=account)
    row.started_at = NOW - timedelta(days=days_ago)
    AttemptRepository(engine).insert_many([row])


def test_models_that_any_account_asked_lately_are_in_use_by_any_of_their_ids(engine: Engine) -> None:
    log(engine, 0, "openai", "gpt-5.4-mini-2026-03-17", 29, account="acme")
    log(engine, 1, "openai", "gpt-5.4-nano", 31)
    assert set(ModelsInUse(engine).among(priced(), NOW)) == {MINI}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("openai/gpt-5.4-nano", {MINI, NANO}),
        ("openai@work/gpt-5.4-nano", {MINI, NANO}),
        ("openai/gpt-5.4-nano:high", {MINI, NANO}),
        ("openrouter/openai/gpt-5.4-mini", {MINI, ROUTED}),
        ("openai/*", {MINI}),
        ("openai", {MINI}),
    ],
)
def test_models_that_a_key_names_are_in_use_and_wildcards_name_none(
    engine: Engine, pattern: str, expected: set[PriceUse]
) -> None:
    log(engine, 0, "openai", "gpt-5.4-mini", 1)
    assert set(ModelsInUse(engine, lambda: [pattern]).among(priced(), NOW)) == expected


def test_before_the_first_request_every_model_is_in_use(engine: Engine) -> None:
    assert ModelsInUse(engine).among(priced(), NOW) == priced()


@pytest.mark.parametrize(("moved", "outcome"), [("gpt-5.4-mini", "quarantined"), ("gpt-5.4-nano", "accepted")])
def test_only_a_model_in_use_keeps_a_table_aside(engine: Engine, tmp_path: Path, moved: str, outcome: str) -> None:
    log(engine, 0, "openai", "gpt-5.4-mini", 1)
    with PriceServer(published("openai", change=times("3", moved))) as server:
        prices = {"folder": str(tmp_path / "prices"), "sources": ["published"], "url": f"{server.url}/data.json"}
        settings = Settings.model_validate({"prices": prices})
        store = PriceStore.of_settings(settings, {})
        now_used = PriceSources(NOW, store.tables(NOW.date()))
        used = {use: now_used.look_up(use) for use in priced()}
        refresh = PriceRefresh(store, lambda: sources_of(settings, {}), 3_600, ModelsInUse(engine))
        (result,) = refresh.round(used, NOW) or ()
        assert result.outcome == outcome, result
        after = PriceSources(NOW, store.tables(NOW.date())).look_up(NANO)
    before = used[NANO]
    assert before is not None
    assert after is not None
    factor = Decimal(3) if outcome == "accepted" else Decimal(1)
    assert after.input_usd_per_mtok == before.input_usd_per_mtok * factor
