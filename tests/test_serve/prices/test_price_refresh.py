"""Newer prices: fetched from a real server, checked, kept on disk, kept aside."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fakes.price_server import PriceServer, published, times

from router.price_table import Price
from serve.catalogue.price_sources import PriceSources, PriceTables, PriceUse
from serve.catalogue.provider_lists import read_list
from serve.errors import ConfigurationError
from serve.prices.refresh import PriceRefresh, Refreshed
from serve.prices.sources import sources_of
from serve.prices.store import PriceStore
from serve.settings import Settings

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MINI = PriceUse("openai", "gpt-5.4-mini", "openai", "gpt-5.4-mini")
OTHERS = [PriceUse("openai", name, "openai", name) for name in ("gpt-5.4", "gpt-5", "gpt-5-mini", "gpt-5.5", "gpt-4.1")]
ROUTED = PriceUse("openrouter", "openai/gpt-x", "openrouter", "openai/gpt-x")
Used = Mapping[PriceUse, Price | None]


@pytest.fixture
def server() -> Iterator[PriceServer]:
    with PriceServer(published("openai")) as running:
        yield running


class Machine:
    """The prices of one machine, as a gateway with these settings has them."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None, **prices: Any) -> None:
        values = {"prices": {"folder": str(folder / "prices"), **prices}}
        self.settings = Settings.model_validate(values)
        self.store = PriceStore.of_settings(self.settings, {})
        self.sources = sources_of(self.settings, environment or {})

    def prices(self, now: datetime = NOW) -> PriceSources:
        sources = PriceSources(now, self.store.tables(now.date()))
        sources.used.update({use: sources.look_up(use) for use in (MINI, *OTHERS)})
        return sources

    def refresh(self, now: datetime = NOW, used: Used | None = None) -> list[Refreshed] | None:
        return PriceRefresh(self.store, lambda: self.sources, 3_600).round(used or self.prices(now).used, now)

    def mini(self, now: datetime = NOW) -> Price:
        price = self.prices(now).look_up(MINI)
        assert price is not None
        return price


def of_published(folder: Path, server: PriceServer) -> Machine:
    return Machine(folder, sources=["published"], url=f"{server.url}/data.json?token=secret")


def test_nothing_is_asked_unless_the_settings_allow_it(tmp_path: Path, server: PriceServer) -> None:
    machine = Machine(tmp_path, url=server.url, environment={"OPENROUTER_API_KEY": "key"})
    assert machine.refresh() == []
    assert server.requests == []
    assert not (tmp_path / "prices").exists()
    assert machine.mini().source == "genai-prices 0.2.3"


def test_a_published_table_is_used_and_used_again_after_a_restart(tmp_path: Path, server: PriceServer) -> None:
    server.answer = published("openai", change=times("1.2", MINI.model))
    machine = of_published(tmp_path, server)
    before = machine.mini()
    assert machine.refresh() == [Refreshed("published", "accepted")]
    after = of_published(tmp_path, server).mini()
    assert after.input_usd_per_mtok == before.input_usd_per_mtok * Decimal("1.2")
    assert after.source == "genai-prices, published"
    assert after.checked_on is not None
    assert after.checked_on < NOW.date()
    stored = machine.store.stored("published")
    assert stored is not None
    assert stored.origin == f"{server.url}/data.json"  # an address may have a secret in its query


def test_a_source_is_asked_again_only_when_it_is_due(tmp_path: Path, server: PriceServer) -> None:
    machine = of_published(tmp_path, server)
    machine.refresh()
    assert machine.refresh(NOW + timedelta(minutes=59)) == []
    assert machine.refresh(NOW + timedelta(minutes=61)) == [Refreshed("published", "unchanged")]
    assert len(server.requests) == 2


def test_workers_that_come_at_once_ask_once(tmp_path: Path, server: PriceServer) -> None:
    machines = [of_published(tmp_path, server) for _ in range(8)]
    used = machines[0].prices().used
    begin = threading.Barrier(8)

    def work(machine: Machine) -> None:
        begin.wait()
        machine.refresh(used=used)

    threads = [threading.Thread(target=work, args=(machine,)) for machine in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1


def test_a_table_that_moves_a_price_by_half_waits_for_confirmation(tmp_path: Path, server: PriceServer) -> None:
    server.answer = published("openai", change=times("1.5", MINI.model))
    machine = of_published(tmp_path, server)
    before = machine.mini()
    (result,) = machine.refresh() or []
    assert (result.outcome, result.is_new) == ("quarantined", True)
    assert "openai/gpt-5.4-mini input 0.75 -> 1.125" in result.problems[0]
    assert machine.mini() == before
    (again,) = machine.refresh(NOW + timedelta(hours=2)) or []
    assert (again.outcome, again.is_new) == ("quarantined", False)
    assert [file.name for file in machine.store.quarantined()] == ["published"]
    machine.store.confirm("published", NOW)
    assert machine.mini().input_usd_per_mtok == before.input_usd_per_mtok * Decimal("1.5")
    assert machine.store.quarantined() == []
    assert machine.refresh(NOW + timedelta(hours=4)) == [Refreshed("published", "unchanged")]


def test_a_table_without_models_in_use_waits_for_confirmation(tmp_path: Path, server: PriceServer) -> None:
    table = published("openai")
    table[0]["models"] = [model for model in table[0]["models"] if model["id"] != MINI.model]
    server.answer = table
    machine = of_published(tmp_path, server)
    (result,) = machine.refresh() or []
    assert result.problems == ("1 of 6 models in use are gone: openai/gpt-5.4-mini",)
    assert machine.mini().input_usd_per_mtok == Decimal("0.75")


def test_a_table_that_is_older_than_the_one_in_use_waits_for_confirmation(tmp_path: Path, server: PriceServer) -> None:
    server.answer = published("openai", newest="2026-06-01")
    machine = of_published(tmp_path, server)
    (result,) = machine.refresh() or []
    assert result.outcome == "quarantined"
    assert any("it is older than the table in use" in problem for problem in result.problems)
    machine.store.confirm("published", NOW)
    assert machine.mini().source == "genai-prices, published"


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (b"<html>", 200, "not JSON"),
        ([], 200, "JSON array"),
        ([], 503, "the server answered 503"),
        ([{"id": "openai", "models": [{}]}], 200, "not a table of prices"),
    ],
)
def test_a_source_that_gives_no_table_changes_nothing(
    tmp_path: Path, server: PriceServer, answer: Any, status: int, words: str
) -> None:
    machine = of_published(tmp_path, server)
    machine.refresh()
    good = machine.mini()
    server.answer, server.status = answer, status
    (result,) = machine.refresh(NOW + timedelta(hours=2)) or []
    assert words in result.outcome
    assert machine.mini() == good
    assert machine.store.quarantined() == []
    assert machine.refresh(NOW + timedelta(hours=2, minutes=9)) == []
    server.answer, server.status = published("openai"), 200
    assert machine.refresh(NOW + timedelta(hours=2, minutes=11)) == [Refreshed("published", "unchanged")]


def test_a_redirect_is_not_followed(tmp_path: Path, server: PriceServer) -> None:
    server.status, server.headers = 302, {"location": f"{server.url}/elsewhere"}
    (result,) = of_published(tmp_path, server).refresh() or []
    assert result.outcome == "the server answered 302"
    assert len(server.requests) == 1


def test_a_server_that_is_away_changes_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, sources=["published"], url="http://127.0.0.1:9/x?token=secret")
    (result,) = machine.refresh() or []
    assert "could not be reached" in result.outcome
    assert "secret" not in result.outcome


def test_the_day_that_a_server_names_is_the_date_of_its_file(tmp_path: Path, server: PriceServer) -> None:
    server.headers = {"last-modified": "Fri, 27 Nov 2026 10:00:00 GMT"}
    machine = of_published(tmp_path, server)
    machine.refresh()
    assert machine.mini().checked_on == date(2026, 11, 27)


def test_a_stored_file_that_is_damaged_is_left_out(tmp_path: Path, server: PriceServer) -> None:
    machine = of_published(tmp_path, server)
    machine.refresh()
    path = tmp_path / "prices" / "published.json"
    path.write_bytes(path.read_bytes()[:1_000])
    assert machine.mini().source == "genai-prices 0.2.3"


def test_a_packaged_table_that_is_newer_than_the_stored_one_wins(tmp_path: Path, server: PriceServer) -> None:
    long_ago = datetime(2026, 11, 1, tzinfo=UTC)
    server.answer = published("openai", newest="2026-11-01")
    machine = of_published(tmp_path, server)
    machine.refresh(long_ago)
    assert machine.store.stored("published") is not None
    assert machine.mini().source == "genai-prices 0.2.3"


def listing(rate: str) -> dict[str, Any]:
    return {"data": [{"id": "openai/gpt-x", "pricing": {"prompt": rate, "completion": rate}}]}


def test_a_providers_own_list_is_asked_with_its_key_and_wins_over_the_table(tmp_path: Path) -> None:
    with PriceServer(listing("0.000002")) as server:
        settings = {"prices": {"folder": str(tmp_path), "sources": ["providers"]}}
        settings["providers"] = {"openrouter": {"base_url": f"{server.url}/api/v1"}}
        chosen = Settings.model_validate(settings)
        sources = sources_of(chosen, {"OPENROUTER_API_KEY": "sk-or-v1-secret", "GROQ_API_KEY": "gsk"})
        assert [source.name for source in sources] == ["openrouter"]
        store = PriceStore.of_settings(chosen, {})
        refresh = PriceRefresh(store, lambda: sources, 3_600)
        assert refresh.round({}, NOW) == [Refreshed("openrouter", "accepted")]
        ((path, headers),) = server.requests
        assert (path, headers["authorization"]) == ("/api/v1/models", "Bearer sk-or-v1-secret")
        price = PriceSources(NOW, store.tables(NOW.date())).look_up(ROUTED)
        assert price is not None
        assert (price.input_usd_per_mtok, price.checked_on) == (2, NOW.date())
        assert price.source == f"{server.url.removeprefix('http://')}/api/v1/models"
        assert "secret" not in (tmp_path / "openrouter.json").read_text()
        server.answer = listing("0.000004")
        (result,) = refresh.round({ROUTED: price}, NOW + timedelta(hours=2)) or []
        assert result.outcome == "quarantined"


def test_what_a_list_leaves_out_comes_from_the_published_table(tmp_path: Path) -> None:
    use = PriceUse("openrouter", "openai/gpt-5.4-mini", "openrouter", "openai/gpt-5.4-mini")
    published_price = PriceSources(NOW).look_up(use)
    assert published_price is not None
    assert published_price.cached_input_usd_per_mtok is not None
    rows = [{"id": use.model, "pricing": {"prompt": "0.0000009", "completion": "0.000005"}}]
    listed = read_list("openrouter", rows, "a list", NOW.date())
    price = PriceSources(NOW, PriceTables().with_list(listed)).look_up(use)
    assert price is not None
    assert (price.input_usd_per_mtok, price.source) == (Decimal("0.9"), "a list")
    assert price.cached_input_usd_per_mtok == published_price.cached_input_usd_per_mtok
    assert price.tiers == published_price.tiers


def test_an_own_file_is_read_whenever_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(published("openai", change=times("1.1", MINI.model))))
    machine = Machine(tmp_path, file=str(file))
    assert machine.refresh() == [Refreshed("file", "accepted")]
    first = machine.mini()
    assert first.source == str(file)
    assert machine.refresh(NOW + timedelta(days=3)) == []
    file.write_text(json.dumps(published("openai", change=times("1.3", MINI.model))))
    os.utime(file, (1, 1))
    assert machine.refresh() == [Refreshed("file", "accepted")]
    assert machine.mini().input_usd_per_mtok > first.input_usd_per_mtok
    file.unlink()
    (result,) = machine.refresh() or []
    assert "cannot be read" in result.outcome
    assert machine.mini().input_usd_per_mtok > first.input_usd_per_mtok  # the last good copy
    assert Machine(tmp_path).mini().source == "genai-prices 0.2.3"  # a file that the settings no longer name


def test_what_is_written_is_there_as_a_whole_or_not_at_all(tmp_path: Path, server: PriceServer) -> None:
    machine = of_published(tmp_path, server)
    machine.refresh()
    names = {path.name for path in (tmp_path / "prices").iterdir()}
    assert names == {"asked.json", "published.json", "turn.lock"}


def test_confirming_what_does_not_wait_is_an_error_that_names_what_does(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no table 'published' waits"):
        Machine(tmp_path).store.confirm("published", NOW)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, server: PriceServer) -> None:
    (tmp_path / "prices").write_text("a file")
    with pytest.raises(ConfigurationError, match=r"set prices\.folder"):
        of_published(tmp_path, server).refresh()
