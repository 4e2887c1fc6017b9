"""What a name says about a model, and its list price."""

from datetime import date

import pytest

from training.abilities.list_prices import ListPrices
from training.abilities.model_facts import as_year, read_name


@pytest.mark.parametrize(
    ("model", "line", "version"),
    [
        ("anthropic/claude-opus-4.5", "anthropic/claude-opus", 4.5),
        ("anthropic/claude-3.5-sonnet", "anthropic/claude-sonnet", 3.5),
        ("openai/gpt-5.4-mini", "openai/gpt-mini", 5.4),
        ("qwen/qwen3-235b-a22b-instruct-2507", "qwen/qwen", 3.0),
        ("minimax/minimax-m2p5", "minimax/minimax-m", 2.5),
        ("openai/gpt-oss-120b", "openai/gpt-oss", None),
    ],
)
def test_a_name_says_the_line_and_the_generation(model: str, line: str, version: float | None) -> None:
    facts = read_name(model)
    assert (facts.line, facts.version) == (line, version)


@pytest.mark.parametrize(
    ("model", "size_b", "active_b"),
    [
        ("qwen/qwen3-235b-a22b", 235.0, 22.0),
        ("google/gemma-4-e4b", 4.0, None),
        ("inclusionai/ling-1t", 1000.0, None),
        ("mistralai/mixtral-8x7b", 56.0, None),
        ("openai/gpt-5", None, None),
    ],
)
def test_a_name_says_the_size(model: str, size_b: float | None, active_b: float | None) -> None:
    facts = read_name(model)
    assert (facts.size_b, facts.active_b) == (size_b, active_b)


@pytest.mark.parametrize(
    ("model", "day"),
    [
        ("mistralai/ministral-8b-2512", date(2025, 12, 15)),
        ("cohere/command-a-03-2025", date(2025, 3, 15)),
        ("ai21/jamba-large-1.7-2025-07", date(2025, 7, 15)),
    ],
)
def test_a_name_says_the_month(model: str, day: date) -> None:
    assert read_name(model).released == pytest.approx(as_year(day), abs=0.02)


def test_a_table_that_mentions_the_model_earlier_dates_it() -> None:
    assert read_name("acme/model-2512", first_seen=2025.5).released == 2025.5
    assert read_name("acme/model", first_seen=2025.5).released == 2025.5
    assert read_name("acme/model").released is None


def test_spellings_and_variants_of_one_model_share_a_root() -> None:
    spellings = ("qwen/qwen3-next-80b-a3b", "qwen/qwen3-next-80b-a3b-instruct", "qwen/qwen3-next-80b-a3b-thinking")
    assert {read_name(model).root for model in spellings} == {"qwen/qwen3-next-80b-a3b"}
    assert read_name("openai/gpt-5.4").root != read_name("openai/gpt-5.4-mini").root


def test_words_of_a_name_place_it_in_the_line_up() -> None:
    tiers = [read_name(f"acme/model-{word}").tier for word in ("nano", "mini", "flash", "medium", "pro", "max")]
    assert tiers == sorted(tiers)
    assert read_name("moonshotai/kimi-k2-thinking").reasons
    assert read_name("openai/o3").reasons
    assert not read_name("openai/gpt-4o").reasons
    assert read_name("openai/gpt-5-codex").codes


def test_list_prices_are_those_of_the_package_in_all_spellings() -> None:
    prices = ListPrices()
    assert prices.price_of("openai/gpt-4o-mini") == (0.15, 0.6)
    assert prices.price_of("google/gemma-3-27b") == prices.price_of("google/gemma-3-27b-it") is not None
    assert prices.price_of("acme/no-such-model") is None
