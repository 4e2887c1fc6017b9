"""Every row of the catalogue, found by itself: what a provider, a model and a price must be to be offered."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from checkout import ROOT

from router.bundle import load_bundle
from router.context import Constraints, RouteContext
from router.eligibility import exclude_lanes
from router.expectation import LaneState, expect_outcomes
from router.lane import Capability
from router.lane_table import LaneTable
from router.quality_model import Prediction
from serve.catalogue.embedding_rows import load_embeddings
from serve.catalogue.model_rows import ModelCatalogue, load_models
from serve.catalogue.packaged_prices import PackagedPrices
from serve.catalogue.price_rows import load_own_prices
from serve.catalogue.price_sources import PriceSources
from serve.catalogue.provider_rows import ProviderRow, load_provider_rows
from serve.catalogue.published_table import packaged_table
from serve.dialects.embeddings.dialect import EMBEDDINGS
from serve.dialects.registry import DIALECTS, capabilities_of_dialects, exchange_between
from serve.errors import ConfigurationError
from serve.http.doors import CHAT, MESSAGES
from serve.lanes.capabilities import capabilities_named
from serve.lanes.of_providers import ProviderConnections, ProviderConnector
from serve.packaged_files import data_dir, models_dir
from serve.settings import load_settings
from serve.upstream.http_transport import HttpTransport
from serve.upstream.transport import Deadlines

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROWS = load_provider_rows(data_dir() / "providers")
SPOKEN = [row for row in ROWS if row.credentials == "key"]


@pytest.fixture(scope="module")
def catalogue() -> ModelCatalogue:
    return load_models(data_dir() / "models.yaml")


def connect(tmp_path: Path, environment: dict[str, str], toml: str = "") -> ProviderConnections:
    config = tmp_path / "llmdeal.toml"
    config.write_text(toml)
    connector = ProviderConnector(HttpTransport(), Deadlines(1, 1, 1), lambda: PriceSources(NOW), NOW.date())
    return connector.of_settings(load_settings(config, {}), environment)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_provider_row_is_sourced_and_reachable(row: ProviderRow) -> None:
    assert row.base_url is None or row.base_url.startswith("https://") or row.region == "local"
    assert all(source.checked_on <= date(2027, 1, 1) for source in row.sources)
    capabilities_named((*row.adds, *row.lacks), row.id)
    assert not set(row.adds) & set(row.lacks)
    assert row.region is None or row.region not in row.regions


@pytest.mark.parametrize("row", SPOKEN, ids=lambda row: row.id)
def test_a_key_in_the_environment_is_enough(row: ProviderRow, tmp_path: Path, catalogue: ModelCatalogue) -> None:
    connections = connect(tmp_path, {row.key_env[0]: "provider-secret-1"})
    offered = {model.offers[row.id].model for model in catalogue.models if row.id in model.offers}
    chats = [connection for connection in connections.connections if EMBEDDINGS.name not in connection.endpoints]
    lanes = [connection.lane for connection in chats]
    assert {lane.upstream_model for lane in lanes} >= offered, (
        f"an offer in data/models.yaml has no price in genai-prices: add it to data/prices/{row.id}.yaml"
    )
    offered |= {lane.upstream_model for lane in lanes}
    if not offered and row.needs_key:
        assert any(row.name in notice for notice in connections.notices)
    for connection in chats:
        lane = connection.lane
        assert lane.lane_id == f"{row.id}/{lane.upstream_model}"
        is_free = lane.price.input_usd_per_mtok == lane.price.output_usd_per_mtok == 0
        assert not is_free or lane.choice == "never"
        assert lane.price.source
        assert lane.prior is not None
        assert all(url.startswith("https://") for urls in connection.endpoints.values() for url in urls)
        assert capabilities_of_dialects(connection.endpoints, lane.vendor_model, connection.quirks) in lane.capabilities
        base_url = (row.base_url or "").replace("{location}", row.location or "")
        assert set(connection.endpoints) in ({row.dialect, *row.also_speaks}, {"responses"} & set(row.also_speaks))
        main = next(iter(connection.endpoints))
        assert connection.endpoints[main] == DIALECTS[main].endpoints(base_url, lane.upstream_model)
        assert "provider-secret-1" in "".join(connection.headers.values())
        assert "provider-secret-1" not in repr(connection)
        if connection.effort_terms.efforts:
            assert Capability.REASONING in lane.capabilities
            assert "reasoning_effort" not in connection.quirks.dropped_parameters


@pytest.mark.parametrize("row", SPOKEN, ids=lambda row: row.id)
def test_vectors_that_the_catalogue_offers_are_priced_lanes_of_their_own(row: ProviderRow, tmp_path: Path) -> None:
    connections = connect(tmp_path, {row.key_env[0]: "provider-secret-1"})
    models = load_embeddings(data_dir() / "embeddings.yaml").models
    vectors = [connection for connection in connections.connections if EMBEDDINGS.name in connection.endpoints]
    assert {connection.lane.upstream_model for connection in vectors} == {
        model.offers[row.id] for model in models if row.id in model.offers
    }
    for connection in vectors:
        assert list(connection.endpoints) == [EMBEDDINGS.name]
        assert connection.lane.price.input_usd_per_mtok > 0
        assert connection.lane.price.output_usd_per_mtok == 0


@pytest.mark.parametrize("row", [row for row in ROWS if row not in SPOKEN], ids=lambda row: row.id)
def test_credentials_that_serve_for_more_are_not_used_unasked(row: ProviderRow, tmp_path: Path) -> None:
    connections = connect(tmp_path, {row.key_env[0]: "/a/file.json"})
    assert connections.connections == ()
    assert connections.signers == ()
    assert any(row.name in notice and f"[providers.{row.id}]" in notice for notice in connections.notices)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_provider_row_says_where_it_runs_and_what_it_keeps_or_that_nobody_knows(
    row: ProviderRow, tmp_path: Path
) -> None:
    """Lanes of which it is not known satisfy no demand: region, training and retention all fail closed."""
    settings = (
        f"[providers.{row.id}]\nbase_url = 'https://somewhere.test/v1'\n"
        f"[[providers.{row.id}.models]]\nupstream_model = 'x'\n"
    )
    if row.credentials != "key":
        return
    [connection] = [
        connection
        for connection in connect(tmp_path, {row.key_env[0]: "k"}, settings).connections
        if connection.lane.upstream_model == "x"
    ]
    table = LaneTable.build([connection.lane], ())
    context, state = RouteContext("a prompt", 8, 10), LaneState.unmeasured(table)
    beliefs = np.ones(1, np.float32)
    expectation = expect_outcomes(table, Prediction(beliefs, beliefs, beliefs, 0.0, 10.0, beliefs), context, state)

    def excluded_by(**wanted: Any) -> dict[int, str]:
        return exclude_lanes(table, context, Constraints(**wanted), expectation, state).by_row()

    for region in ("eu", "us"):
        assert excluded_by(region=region) == {0: "region"}, "a region holds only where it was asked for and is offered"
    assert excluded_by(denies_training=True) == ({} if row.trains_on_data is False else {0: "data_collection"})
    assert excluded_by(requires_zero_retention=True) == ({} if row.retains_data is False else {0: "zdr"})


@pytest.mark.parametrize(
    ("row", "region"),
    [(row, region) for row in SPOKEN for region in row.regions],
    ids=lambda item: getattr(item, "id", item),
)
def test_a_region_that_is_offered_is_in_the_lane_and_its_uplift_in_the_price(
    row: ProviderRow, region: str, tmp_path: Path
) -> None:
    environment = {row.key_env[0]: "k"}
    plain = {_worldwide(c.lane.upstream_model): c.lane for c in connect(tmp_path, environment).connections}
    there = connect(tmp_path, environment, f"[providers.{row.id}]\nregion = '{region}'\n").connections
    assert there or not plain
    for connection in there:
        assert connection.lane.region == region
        usual = plain.get(_worldwide(connection.lane.upstream_model))
        if usual is None:
            assert row.regions[region].model_prefix, "only inference profiles can be offered in one region alone"
            continue
        rate, usual_rate = connection.lane.price.input_usd_per_mtok, usual.price.input_usd_per_mtok
        assert rate == usual_rate * row.regions[region].price_factor or (row.id == "bedrock" and rate > usual_rate)


def _worldwide(model_id: str) -> str:
    return re.sub(r"^(?:eu|us)\.", "global.", model_id)


def test_models_are_offered_by_known_providers_and_trained_names_exist(catalogue: ModelCatalogue) -> None:
    provider_ids = {row.id for row in ROWS}
    trained = set(load_bundle(models_dir() / "llmdeal-base-2").trained_names)
    for model in catalogue.models:
        assert set(model.offers) <= provider_ids, model.model
        assert model.trained_name is None or model.trained_name in trained, model.model
        capabilities_named(model.capabilities or (), model.model)


def test_no_two_models_claim_one_offer(catalogue: ModelCatalogue) -> None:
    offers = [(provider, offer.model) for model in catalogue.models for provider, offer in model.offers.items()]
    assert len(offers) == len(set(offers))


def test_our_own_prices_are_for_offers(catalogue: ModelCatalogue) -> None:
    offers = {(provider, offer.model) for model in catalogue.models for provider, offer in model.offers.items()}
    assert set(load_own_prices(data_dir() / "prices")) <= offers


def test_a_price_that_depends_on_the_hour_is_the_dearest_one() -> None:
    quoted = PackagedPrices(NOW).price_of("deepseek", "deepseek-v4-pro")
    assert quoted is not None
    assert quoted.output_usd_per_mtok == Decimal("3.96")


def test_a_price_with_a_start_date_holds_from_then_on() -> None:
    prices = [
        PackagedPrices(datetime(2026, 10, day, tzinfo=UTC)).price_of("mistral", "mistral-large-4")
        for day in (15, 25, 31)
    ]
    assert [price.input_usd_per_mtok for price in prices if price] == [Decimal("0.68"), Decimal("1.36"), Decimal("0.7")]


def test_a_long_prompt_is_billed_at_its_tier() -> None:
    price = PackagedPrices(NOW).price_of("openai", "gpt-5.5")
    assert price is not None
    assert [price.rates_for(tokens).input_usd_per_mtok for tokens in (272_000, 272_001)] == [5, 10]


def test_the_service_tiers_and_searches_of_the_package_have_prices() -> None:
    flex = PackagedPrices(NOW).price_of("openai", "gpt-5.4-mini")
    assert flex is not None
    assert [name for name, _ in flex.service_tiers] == ["batch", "fast", "flex", "priority"]
    assert flex.at("flex").input_usd_per_mtok * 2 == flex.input_usd_per_mtok
    assert (flex.web_search_usd, flex.file_search_usd) == (Decimal("0.01"), Decimal("0.0025"))
    claude = PackagedPrices(NOW).price_of("anthropic", "claude-opus-5-5")
    assert claude is not None
    assert claude.at("batch").cache_write_1h_usd_per_mtok == Decimal(4)
    assert claude.at("fast").output_usd_per_mtok == 2 * claude.output_usd_per_mtok


def test_packaged_prices_have_the_date_of_the_packages_release_whatever_the_day() -> None:
    dates = set()
    for year in (2026, 2027):
        price = PackagedPrices(datetime(year, 12, 1, tzinfo=UTC)).price_of("openai", "gpt-5.4-mini")
        assert price is not None
        dates.add(price.checked_on)
    assert dates == {packaged_table().dated}
    assert packaged_table().dated < date(2026, 11, 30)


def test_the_release_on_file_is_the_one_that_the_requirements_pin() -> None:
    release = yaml.safe_load((data_dir() / "packaged_prices.yaml").read_text())
    pinned = (ROOT / "requirements" / "base.txt").read_text()
    assert f"genai-prices=={release['version']} " in pinned, "make lock took another version: write down its release"


def test_a_prefix_of_a_model_id_has_no_price() -> None:
    assert PackagedPrices(NOW).price_of("openai", "gpt-5.") is None
    assert PackagedPrices(NOW).price_of("nobody", "gpt-5.5") is None


def test_a_region_brings_its_host_and_its_uplift(tmp_path: Path) -> None:
    environment = {"OPENAI_API_KEY": "provider-secret-1"}
    world, europe = (
        connect(tmp_path, environment),
        connect(tmp_path, environment, '[providers.openai]\nregion = "eu"\n'),
    )
    assert all(
        url.startswith("https://eu.api.openai.com/v1/")
        for connection in europe.connections
        for urls in connection.endpoints.values()
        for url in urls
    )
    for there, here in zip(world.connections, europe.connections, strict=True):
        assert here.lane.region == "eu"
        assert here.lane.price.input_usd_per_mtok == there.lane.price.input_usd_per_mtok * Decimal("1.1")
        assert "times 1.1" in here.lane.price.source


def test_a_region_may_be_a_word_in_the_request(tmp_path: Path) -> None:
    environment = {"ANTHROPIC_API_KEY": "provider-secret-1"}
    world = connect(tmp_path, environment).connections
    america = connect(tmp_path, environment, '[providers.anthropic]\nregion = "us"\n').connections
    for there, here in zip(world, america, strict=True):
        assert here.lane.region == "us"
        assert here.endpoints == there.endpoints
        assert here.lane.price.output_usd_per_mtok == there.lane.price.output_usd_per_mtok * Decimal("1.1")
        body = b'{"model": "smart-route", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}'
        for door in (MESSAGES, CHAT):
            inquiry = door.read(body)
            exchange = exchange_between(inquiry.dialect, "anthropic")
            sent = [json.loads(exchange.encode_request(inquiry, lane.lane, lane.quirks)) for lane in (there, here)]
            assert [each.get("inference_geo") for each in sent] == [None, "us"]


def test_models_of_ones_own_join_a_provider_with_its_quirks(tmp_path: Path) -> None:
    toml = """
        [providers.azure]
        key = "provider-secret-1"
        base_url = "https://mine.openai.azure.com/openai/v1/"
        [[providers.azure.models]]
        upstream_model = "my-gpt-4o"
        vendor_model = "openai/gpt-4o"
        input_usd_per_mtok = "2.5"
        output_usd_per_mtok = "10"
        trained_name = "gpt-4o-2024-08-06"
        capabilities = ["tools"]
    """
    (connection,) = connect(tmp_path, {}, toml).connections
    assert connection.endpoints["openai"][0] == "https://mine.openai.azure.com/openai/v1/chat/completions"
    assert connection.headers["api-key"] == "provider-secret-1"
    assert connection.lane.lane_id == "azure/my-gpt-4o"
    assert connection.lane.capabilities == Capability.TOOLS | Capability.CHAT_DIALECT | Capability.MEDIA_URLS


def test_a_local_provider_needs_no_key_but_to_be_asked_for(tmp_path: Path) -> None:
    assert connect(tmp_path, {}).connections == ()
    toml = '[providers.ollama]\n[[providers.ollama.models]]\nupstream_model = "llama3.2"\n'
    (connection,) = connect(tmp_path, {}, toml).connections
    assert connection.endpoints["openai"][0] == "http://127.0.0.1:11434/v1/chat/completions"
    assert connection.lane.region == "local"
    assert "authorization" not in connection.headers


def test_an_account_of_ones_own_has_its_own_name_and_pool(tmp_path: Path) -> None:
    connections = connect(
        tmp_path, {"WORK_KEY": "provider-secret-1"}, '[providers.groq]\nkey_env = "WORK_KEY"\naccount = "work"\n'
    )
    assert {connection.lane.account for connection in connections.connections} == {"groq@work"}
    assert all(connection.lane.lane_id.startswith("groq@work/") for connection in connections.connections)


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ("[providers.opnai]\n", "providers.opnai: unknown; known are"),
        ('[providers.groq]\nkey = "k"\nregion = "eu"\n', "'eu' is not offered by Groq"),
    ],
)
def test_settings_that_no_row_knows_are_refused(toml: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        connect(tmp_path, {}, toml)


def test_a_provider_that_is_switched_off_stays_off(tmp_path: Path) -> None:
    assert connect(tmp_path, {"GROQ_API_KEY": "k"}, "[providers.groq]\nis_enabled = false\n").connections == ()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"base_ulr": "x"}, "base_ulr: Extra inputs are not permitted"),
        ({"dialect": "esperanto"}, "line 3: dialect"),
        ({"sources": []}, "sources"),
        ({"id": "other"}, "call the file other.yaml"),
    ],
)
def test_a_malformed_row_is_refused_by_line_and_field(
    change: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    row = yaml.safe_load((data_dir() / "providers" / "groq.yaml").read_text()) | change
    (tmp_path / "groq.yaml").write_text(yaml.safe_dump(row, sort_keys=False))
    with pytest.raises(ConfigurationError, match=complaint):
        load_provider_rows(tmp_path)


def test_broken_yaml_is_refused_by_line(tmp_path: Path) -> None:
    (tmp_path / "groq.yaml").write_text("id: groq\nname: [Groq\n")
    with pytest.raises(ConfigurationError, match=r"groq\.yaml, line \d+: not valid YAML"):
        load_provider_rows(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda text: text.replace("prices:", "prices: {", 1), r"line \d+"),
        (lambda text: text.replace("checked_on", "checked_upon", 1), "checked_on"),
        (lambda text: text.replace('input: "', 'input: "-', 1), "input"),
    ],
    ids=["a brace too many", "no date", "a negative rate"],
)
def test_a_spoilt_price_file_stops_the_start_and_brings_no_other_prices_back(
    spoil: Callable[[str], str], complaint: str, tmp_path: Path
) -> None:
    file = min((data_dir() / "prices").glob("*.yaml"))
    (tmp_path / file.name).write_text(file.read_text())
    assert load_own_prices(tmp_path)
    (tmp_path / file.name).write_text(spoil(file.read_text()))
    with pytest.raises(ConfigurationError, match=rf"{file.name}.*{complaint}"):
        load_own_prices(tmp_path)


def test_several_keys_of_one_organisation_share_its_limits_and_have_budgets_of_their_own(tmp_path: Path) -> None:
    names = ("work", "lab", "play", "spare")
    keys = "".join(f'[[providers.groq.keys]]\nname = "{name}"\nkey_env = "KEY_{name.upper()}"\n' for name in names)
    environment = {f"KEY_{name.upper()}": f"gsk_{name}" for name in names[:3]}
    connected = connect(tmp_path, environment, "[providers.groq]\nrequests_per_minute = 60\n" + keys)
    lanes = {connection.lane.lane_id: connection for connection in connected.connections}
    model = next(lane_id for lane_id in lanes if lane_id.startswith("groq@work/")).removeprefix("groq@work/")
    same = [lanes[f"groq@{name}/{model}"] for name in names[:3]]
    assert f"groq@spare/{model}" not in lanes
    assert [notice for notice in connected.notices if "KEY_SPARE" in notice]
    assert len({connection.terms.pool_of(connection.lane) for connection in same}) == 1
    assert len({connection.lane.account for connection in same}) == 3
    assert [connection.headers["authorization"] for connection in same] == [f"Bearer gsk_{name}" for name in names[:3]]
