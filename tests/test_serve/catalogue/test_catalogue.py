"""Every chat model of the packages is a lane: tried on all that the packages list."""

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from router.lane import Capability
from router.lane_table import LaneTable
from router.model_name import model_name
from serve.catalogue.catalogue import Catalogue, load_catalogue
from serve.catalogue.chat_models import is_chat_model
from serve.catalogue.class_prior import CLASSES, class_of
from serve.catalogue.model_facts import load_facts
from serve.catalogue.packaged_models import PackagedModels
from serve.catalogue.packaged_prices import PackagedPrices
from serve.catalogue.price_sources import PriceSources, PriceTables
from serve.catalogue.provider_lists import read_list
from serve.catalogue.provider_rows import ProviderRow, load_provider_rows
from serve.catalogue.published_table import packaged_table, read_table
from serve.dialects.embeddings.dialect import EMBEDDINGS
from serve.lanes.directory import LaneConnection
from serve.lanes.of_providers import ProviderConnector
from serve.packaged_files import data_dir
from serve.settings import load_settings
from serve.upstream.http_transport import HttpTransport
from serve.upstream.transport import Deadlines

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ROWS = load_provider_rows(data_dir() / "providers")
PACKAGED = [row for row in ROWS if row.packaged_prices is not None]
KEYED = [row for row in PACKAGED if row.credentials == "key"]
PRICES = PriceSources(NOW)
PACKAGED_MODELS = PackagedModels(PRICES.tables)
ALL_IDS = sorted({model.id for provider in packaged_table().providers for model in provider.models})


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(data_dir(), PRICES)


def connector(prices: PriceSources = PRICES) -> ProviderConnector:
    return ProviderConnector(HttpTransport(), Deadlines(1, 1, 1), lambda: prices, NOW.date())


def connections_of(row: ProviderRow, toml: str, tmp_path: Path, prices: PriceSources = PRICES) -> list[LaneConnection]:
    config = tmp_path / "llmdeal.toml"
    config.write_text(toml)
    connected = connector(prices).of_settings(load_settings(config, {}), {row.key_env[0]: "provider-secret-1"})
    return [connection for connection in connected.connections if EMBEDDINGS.name not in connection.endpoints]


@pytest.mark.parametrize("row", KEYED, ids=lambda row: row.id)
def test_every_priced_chat_model_of_a_provider_is_reached_by_its_own_id(row: ProviderRow, tmp_path: Path) -> None:
    connections = connections_of(row, "", tmp_path)
    table = LaneTable.build([connection.lane for connection in connections], ())
    prices = PackagedPrices(NOW)
    facts = load_facts(data_dir())
    unreachable = []
    for model in PACKAGED_MODELS.of_provider(row.packaged_prices).values():
        listed = facts.of_host(row.facts, [prefix + model.model_id for prefix in row.wire_prefixes])
        if (
            is_chat_model(model.model_id, listed)
            and row.has_packaged_id(model.model_id)
            and not model.model_id.startswith("regional.")
            and prices.price_of(row.packaged_prices or "", model.model_id) is not None
            and not (table.find(model.model_id) or table.find(f"{row.id}:{model.model_id}"))
        ):
            unreachable.append(model.model_id)
    assert unreachable == []


@pytest.mark.parametrize("row", KEYED, ids=lambda row: row.id)
def test_a_name_means_one_lane_at_a_provider(row: ProviderRow, tmp_path: Path) -> None:
    lanes = [connection.lane for connection in connections_of(row, "", tmp_path)]
    names = Counter(lane.vendor_model for lane in lanes if not lane.is_alternate)
    assert not [name for name, count in names.items() if count > 1]
    assert {lane.vendor_model for lane in lanes} == set(names)
    for lane in lanes:
        assert model_name(lane.vendor_model) == lane.vendor_model


@pytest.mark.parametrize(
    ("environment", "name", "lane_id"),
    [
        ("openai", "gpt-5-mini", "openai/gpt-5-mini"),
        ("openai", "openai/gpt-5-mini-2025-08-07", "openai/gpt-5-mini"),
        ("openai", "gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13"),
        ("anthropic", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
        ("anthropic", "anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4-5"),
        ("anthropic", "claude-3-7-sonnet-20250219", "anthropic/claude-3-7-sonnet-latest"),
        ("fireworks", "z-ai/glm-5.1", "fireworks/accounts/fireworks/models/glm-5p1"),
        ("fireworks", "fireworks:glm-5p3-fast", "fireworks/accounts/fireworks/routers/glm-5p3-fast"),
        ("together", "meta-llama/llama-3.3-70b-instruct", "together/meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("bedrock", "anthropic/claude-opus-4.5", "bedrock/global.anthropic.claude-opus-4-5-20251101-v1:0"),
        ("openrouter", "openai/gpt-oss-20b:free", "openrouter/openai/gpt-oss-20b:free"),
        ("openrouter", "zai/glm-5.3", "openrouter/z-ai/glm-5.3"),
    ],
)
def test_a_model_is_reached_by_the_names_that_callers_know(
    environment: str, name: str, lane_id: str, tmp_path: Path
) -> None:
    row = next(row for row in ROWS if row.id == environment)
    table = LaneTable.build([connection.lane for connection in connections_of(row, "", tmp_path)], ())
    assert [table.lane_ids[place] for place in table.find(name)] == [lane_id]


NOT_CHAT = (
    "embed", "rerank", "tts", "whisper", "transcribe", "realtime", "moderation", "guard", "-image", "ocr",
    "babbage", "davinci", "ft:", ":batch", "audio", "lyria", "sonic", "search-preview", "search-api", "voice",
)  # fmt: skip


@pytest.mark.parametrize("word", NOT_CHAT)
def test_no_id_with_a_word_of_another_kind_is_a_chat_model(word: str) -> None:
    named = [model_id for model_id in ALL_IDS if word in model_id.lower()]
    assert named, "the package has no such id any more: drop the word"
    assert [model_id for model_id in named if is_chat_model(model_id, None)] == []


@pytest.mark.parametrize(
    "model_id",
    [
        "gpt-5-mini", "o3", "claude-opus-5-5", "gemini-2.5-flash", "llama-3.2-90b-vision-preview", "qwen/qwen-vl-max",
        "microsoft/phi-4", "mistralai/voxtral-small-24b-2507", "cohere/command-r-plus", "gpt-4-vision-preview",
        "inclusionai/ling-3.0-flash-vl", "openai/codex-mini", "perplexity/sonar-pro", "liquid/lfm-2.5-2.6b",
        "relace/relace-apply-3", "openai/gpt-oss-20b:free", "meta-llama/llama-3.1-405b-instruct", "deepseek-chat",
    ],
)  # fmt: skip
def test_a_chat_model_is_seen_as_one(model_id: str) -> None:
    assert is_chat_model(model_id, None)


def test_few_ids_of_chat_providers_are_no_chat_models(catalogue: Catalogue) -> None:
    """The rules take out the other kinds, and not a model more than that: the share says if one became too greedy."""
    share = {
        row.id: len(catalogue.models_of(row))
        / sum(row.has_packaged_id(model_id) for model_id in PACKAGED_MODELS.of_provider(row.packaged_prices))
        for row in PACKAGED
    }
    least = {"openai": 0.4, "bedrock": 0.6, "vertex": 0.5, "gemini": 0.5, "openrouter": 0.7, "mistral": 0.6}
    assert {name: part for name, part in share.items() if part < least.get(name, 0.75)} == {}


def test_a_retired_model_is_only_for_pins_and_says_its_day(tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.id == "openai")
    lanes = {each.lane.upstream_model: each.lane for each in connections_of(row, "", tmp_path)}
    assert lanes["gpt-4"].choice == "never"
    assert lanes["gpt-4"].deprecated_on == date(2026, 10, 23)
    assert lanes["gpt-5-mini"].choice == "if_known"
    assert lanes["gpt-5-mini"].deprecated_on == date(2026, 12, 11), "announced, and not yet retired"
    assert lanes["gpt-5.5"].choice == "always"


def test_a_free_variant_costs_nothing_and_is_only_for_pins(tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.id == "openrouter")
    lanes = {each.lane.upstream_model: each.lane for each in connections_of(row, "", tmp_path)}
    free, paid = lanes["openai/gpt-oss-20b:free"], lanes["openai/gpt-oss-20b"]
    assert free.price.output_usd_per_mtok == 0 < paid.price.output_usd_per_mtok
    assert (free.choice, paid.choice) == ("never", "always")
    assert free.vendor_model == paid.vendor_model


def test_an_operators_own_row_replaces_that_of_the_catalogue(tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.id == "openai")
    toml = """
        [[providers.openai.models]]
        upstream_model = "gpt-5-mini"
        vendor_model = "openai/gpt-5-mini"
        input_usd_per_mtok = "0.5"
        output_usd_per_mtok = "1"
    """
    [lane] = [each.lane for each in connections_of(row, toml, tmp_path) if each.lane.upstream_model == "gpt-5-mini"]
    assert lane.price.source == "set by the operator"
    assert lane.choice == "always"


def test_what_a_model_refuses_follows_from_the_facts(tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.id == "anthropic")
    quirks = {each.lane.vendor_model: each.quirks for each in connections_of(row, "", tmp_path)}
    assert {"temperature", "top_p", "top_k"} <= quirks["anthropic/claude-opus-5.5"].dropped_parameters
    assert "temperature" not in quirks["anthropic/claude-sonnet-4.6"].dropped_parameters
    assert quirks["anthropic/claude-sonnet-4.5"].takes_thinking_budget
    assert not quirks["anthropic/claude-opus-4.6"].takes_thinking_budget


def test_efforts_are_known_per_model(catalogue: Catalogue) -> None:
    row = next(row for row in ROWS if row.id == "openai")
    efforts = {model.name: model.efforts for model in catalogue.models_of(row)}
    assert efforts["openai/gpt-5-mini"] == ("minimal", "low", "medium", "high")
    assert efforts["openai/gpt-6.1-sol"] == ("low", "medium", "high", "xhigh", "max")
    assert efforts["openai/gpt-4.1"] == ()


@pytest.mark.parametrize(
    ("provider", "name", "efforts", "refuses", "lacks"),
    [
        ("anthropic", "anthropic/claude-haiku-5.5", "none low medium high xhigh max", "", Capability.NONE),
        ("anthropic", "anthropic/claude-opus-5.5", "low medium high xhigh max", "", Capability.NONE),
        ("openrouter", "anthropic/claude-haiku-5.5", "none low medium high xhigh", "", Capability.NONE),
        ("mistral", "mistralai/mistral-medium-3.5", "none high", "", Capability.NONE),
        (
            "openai",
            "openai/gpt-5.4",
            "none low medium high xhigh",
            "temperature top_p",
            Capability.TOOLS | Capability.LOGPROBS,
        ),
        ("openai", "openai/gpt-5.2", "none low medium high xhigh", "temperature top_p", Capability.LOGPROBS),
        ("openrouter", "openai/gpt-5.4", "none low medium high xhigh", "temperature top_p", Capability.LOGPROBS),
    ],
)
def test_efforts_of_a_row_count_before_those_of_the_package(
    provider: str, name: str, efforts: str, refuses: str, lacks: Capability, tmp_path: Path
) -> None:
    row = next(row for row in ROWS if row.id == provider)
    of_model = [each for each in connections_of(row, "", tmp_path) if each.lane.vendor_model == name]
    assert of_model, name
    for connection in of_model:
        terms = connection.effort_terms
        assert (" ".join(terms.efforts), terms.refuses, terms.lacks) == (efforts, frozenset(refuses.split()), lacks)


def test_models_that_only_a_newer_table_lists_are_lanes(tmp_path: Path) -> None:
    rates = {"input_mtok": "1", "output_mtok": "8"}
    models = [{"id": each, "match": {"equals": each}, "prices": rates} for each in ("gpt-5.4", "gpt-9", "gpt-9-tts")]
    provider = {"id": "openai", "name": "OpenAI", "api_pattern": "openai", "models": models}
    tables = PriceTables(read_table([provider], "a newer table", NOW.date(), NOW.date()))
    row = next(row for row in ROWS if row.id == "openai")
    lanes = {each.lane.vendor_model: each.lane for each in connections_of(row, "", tmp_path, PriceSources(NOW, tables))}
    assert set(lanes) == {"openai/gpt-5.4", "openai/gpt-9"}
    assert lanes["openai/gpt-9"].price.source == "a newer table"
    assert lanes["openai/gpt-9"].prior is not None
    assert (lanes["openai/gpt-5.4"].choice, lanes["openai/gpt-9"].choice) == ("always", "if_known")
    assert lanes["openai/gpt-5.4"].context_tokens == 1_050_000


def test_models_of_a_providers_own_list_are_lanes(tmp_path: Path) -> None:
    listed = [
        {"id": "zai-org/GLM-9", "metadata": {"pricing": {"input_tokens": 0.5, "output_tokens": 2}}},
        {"id": "BAAI/bge-m9", "metadata": {"pricing": {"input_tokens": 0.1, "output_tokens": 0.1}}},
    ]
    tables = PriceTables().with_list(read_list("deepinfra", {"data": listed}, "api.deepinfra.com", NOW.date()))
    row = next(row for row in ROWS if row.id == "deepinfra")
    lanes = {each.lane.vendor_model: each.lane for each in connections_of(row, "", tmp_path, PriceSources(NOW, tables))}
    assert {"z-ai/glm-9", "deepseek/deepseek-v3.2"} <= set(lanes)
    assert not any("bge" in name for name in lanes)
    fresh = lanes["z-ai/glm-9"]
    assert (fresh.upstream_model, fresh.choice, fresh.price.output_usd_per_mtok) == ("zai-org/GLM-9", "if_known", 2)
    assert fresh.prior is not None


def test_a_model_has_the_same_prior_at_all_hosts(catalogue: Catalogue) -> None:
    priors: dict[str, set[object]] = {}
    for row in PACKAGED:
        for model in catalogue.models_of(row):
            priors.setdefault(model.name, set()).add(catalogue.prior_of(model.name))
    assert [name for name, beliefs in priors.items() if len(beliefs) != 1 or None in beliefs] == []


def test_a_server_of_ones_own_has_the_prior_of_its_model(catalogue: Catalogue, tmp_path: Path) -> None:
    from serve.lanes.of_servers import server_connections

    config = tmp_path / "llmdeal.toml"
    config.write_text("""
        [[servers]]
        id = "box"
        base_url = "http://127.0.0.1:1/v1"
        models = [
            {upstream_model = "a", vendor_model = "Qwen/Qwen3.8-27B"},
            {upstream_model = "b", vendor_model = "qwen/qwen3.8-27b", ability = 9.0},
            {upstream_model = "c"},
        ]
    """)
    settings = load_settings(config, {})
    served = server_connections(settings.servers, HttpTransport(), Deadlines(1, 1, 1), connector().prior_of)
    a, b, c = [connection.lane.prior for connection in served]
    assert a == catalogue.prior_of("qwen/qwen3.8-27b")
    assert b is not None
    assert b.ability == 9.0
    assert c is None


def test_a_class_is_wider_than_a_row_and_near_what_the_rows_say(catalogue: Catalogue) -> None:
    rows = [row for row in catalogue.rows.models if row.prior in CLASSES]
    steps = Counter()
    for row in rows:
        kind = class_of(row.model, catalogue.usual_output_usd(row.model))
        steps[abs(CLASSES.index(kind) - CLASSES.index(row.prior))] += 1
    assert steps[0] >= 0.7 * len(rows)
    assert set(steps) <= {0, 1}
    by_rule = catalogue.prior_of("openai/gpt-5-mini")
    by_row = catalogue.prior_of("openai/gpt-5.4-mini")
    assert by_rule is not None
    assert by_row is not None
    assert by_rule.ability_std > by_row.ability_std


@pytest.mark.parametrize(
    ("name", "output_usd", "kind"),
    [
        ("openai/gpt-4", 60.0, "small"),
        ("openai/gpt-5.2", 14.0, "strong"),
        ("openai/gpt-7", 14.0, "frontier"),
        ("x/new-7b", 0.2, "small"),
        ("x/new-3b", 9.0, "tiny"),
        ("x/new-8x7b", 20.0, "efficient"),
        ("x/new", None, "small"),
        ("x/new", 0.05, "tiny"),
    ],
)
def test_a_class_follows_from_price_size_and_generation(name: str, output_usd: float | None, kind: str) -> None:
    assert class_of(name, output_usd) == kind
