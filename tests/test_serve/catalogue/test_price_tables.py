"""Published tables and providers' own lists: read, dated, and refused where something is wrong."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from fakes.price_server import published

from serve.catalogue.packaged_prices import PackagedPrices
from serve.catalogue.provider_lists import read_list
from serve.catalogue.published_table import MalformedTableError, packaged_table, read_table

TODAY = date(2026, 11, 30)
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_a_published_table_has_the_prices_of_the_package_it_was_made_from() -> None:
    table = read_table(published("openai", "anthropic", "deepseek"), "a test", TODAY)
    theirs, ours = PackagedPrices(NOW, table), PackagedPrices(NOW)
    n_priced = 0
    for provider in table.providers[:-1]:
        for model in provider.models:
            price, packaged = theirs.price_of(provider.id, model.id), ours.price_of(provider.id, model.id)
            assert (price is None) == (packaged is None)
            if price is not None and packaged is not None:
                n_priced += 1
                assert price.rates_for(300_000) == packaged.rates_for(300_000)
                assert [name for name, _ in price.service_tiers] == [name for name, _ in packaged.service_tiers]
    assert n_priced > 100


def test_a_table_is_dated_by_the_newest_price_that_holds_when_it_is_read() -> None:
    raw = published("anthropic", newest="2026-01-01")
    raw[0]["models"][0]["prices"] = [
        {"prices": {"input_mtok": "1", "output_mtok": "2"}},
        {"constraint": {"start_date": "2026-11-25"}, "prices": {"input_mtok": "2", "output_mtok": "2"}},
        {"constraint": {"start_date": "2027-05-01"}, "prices": {"input_mtok": "3", "output_mtok": "2"}},
    ]
    assert read_table(raw, "a test", TODAY).dated == date(2026, 11, 25)
    assert read_table(raw, "a test", date(2026, 11, 20)).dated < date(2026, 11, 20)
    assert read_table(raw, "a test", TODAY, date(2026, 11, 28)).dated == date(2026, 11, 28)
    assert read_table(raw, "a test", TODAY, date(2027, 1, 1)).dated == TODAY  # a clock that is ahead


def test_the_packaged_table_is_older_than_its_announced_prices() -> None:
    assert packaged_table().newest_rate(TODAY) <= packaged_table().dated < TODAY


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"data": []}, "JSON array"),
        ([], "JSON array"),
        ([{"id": "openai"}], "name"),
        (
            [{"id": "o", "name": "O", "api_pattern": "x", "models": [{"id": "m", "prices": {"input_mtok": "dear"}}]}],
            "input_mtok",
        ),
        (
            [
                {
                    "id": "o",
                    "name": "O",
                    "api_pattern": "x",
                    "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": "-1"}}],
                }
            ],
            "o/m: a rate must be 0 or more",
        ),
    ],
)
def test_a_malformed_table_is_refused_by_what_is_wrong(payload: Any, words: str) -> None:
    with pytest.raises(MalformedTableError, match=words):
        read_table(payload, "a test", TODAY)


def test_openrouters_list_is_in_usd_per_token() -> None:
    pricing = {
        "prompt": "0.000003",
        "completion": "0.000015",
        "input_cache_read": "0.0000003",
        "input_cache_write": "0.00000375",
        "request": "0.01",
        "web_search": "0.004",
    }
    auto = {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}}
    models = {"data": [{"id": "anthropic/claude-x", "pricing": pricing}, auto]}
    listed = read_list("openrouter", models, "openrouter.ai", TODAY)
    assert list(listed.prices) == ["anthropic/claude-x"]
    price = listed.prices["anthropic/claude-x"]
    assert price.input_usd_per_mtok == 3
    assert price.output_usd_per_mtok == 15
    assert price.cached_input_usd_per_mtok == Decimal("0.3")
    assert price.cache_write_usd_per_mtok == Decimal("3.75")
    assert (price.request_usd, price.web_search_usd) == (Decimal("0.01"), Decimal("0.004"))
    assert (price.source, price.checked_on) == ("openrouter.ai", TODAY)


def test_togethers_and_deepinfras_lists_are_in_usd_per_million_tokens() -> None:
    together = [
        {"id": "a/b", "pricing": {"input": 0.88, "output": 0.9, "hourly": 0}},
        {"id": "gpu", "pricing": {"hourly": 2, "input": 0, "output": 0}},
    ]
    listed = read_list("together", together, "together", TODAY)
    assert {name: price.output_usd_per_mtok for name, price in listed.prices.items()} == {"a/b": Decimal("0.9")}
    metadata = {"pricing": {"input_tokens": 0.04, "output_tokens": 0.08, "cache_read_tokens": 0.01}}
    deepinfra = {"data": [{"id": "q/w", "metadata": metadata}, {"id": "image", "metadata": None}]}
    price = read_list("deepinfra", deepinfra, "deepinfra", TODAY).prices["q/w"]
    assert (price.input_usd_per_mtok, price.cached_input_usd_per_mtok) == (Decimal("0.04"), Decimal("0.01"))


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"error": "no"}, "not a list of models"),
        ([{"name": "x"}], "`id`"),
        ([{"id": "x", "pricing": {"prompt": "dear", "completion": "1"}}], "x: the price cannot be read"),
        ([{"id": "x"}], "no model"),
    ],
)
def test_a_malformed_list_is_refused_by_what_is_wrong(payload: Any, words: str) -> None:
    with pytest.raises(MalformedTableError, match=words):
        read_list("openrouter", payload, "a test", TODAY)
