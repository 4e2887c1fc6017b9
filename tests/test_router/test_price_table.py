"""Money: exact, rounded up once, never mixed up between models."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import prices, tiered_prices, usages

from router.context import RouteContext
from router.errors import PriceError
from router.expectation import LaneState, expect_outcomes
from router.lane import Lane
from router.lane_table import LaneTable
from router.price_table import (
    NUSD_PER_USD,
    Cost,
    Price,
    PriceTable,
    PriceTier,
    TokenUsage,
    quote_cost,
    quote_most,
)
from router.quality_model import Prediction

TODAY = date(2026, 11, 1)


def price(input_rate: str, output_rate: str, **others: object) -> Price:
    plain = Price(Decimal(input_rate), Decimal(output_rate), "a test", TODAY)
    return replace(plain, **others)  # type: ignore[arg-type]


def test_a_known_bill_is_computed_to_the_nano_dollar() -> None:
    cost = quote_cost(price("0.59", "0.79"), TokenUsage(1_000, 250))
    assert cost == Cost(total_nusd=787_500, prompt_nusd=590_000, completion_nusd=197_500, request_nusd=0)
    assert cost.total_usd == Decimal("0.0007875")


def test_cached_tokens_and_cache_writes_are_billed_at_their_own_rates() -> None:
    rates = price("3", "15", cached_input_usd_per_mtok=Decimal("0.3"), cache_write_usd_per_mtok=Decimal("3.75"))
    cost = quote_cost(rates, TokenUsage(1_000, 0, cached_tokens=600, cache_write_tokens=100))
    assert cost.total_nusd == 300 * 3_000 + 600 * 300 + 100 * 3_750


def test_a_cached_token_without_a_rate_of_its_own_is_billed_as_input() -> None:
    assert quote_cost(price("3", "15"), TokenUsage(1_000, 0, cached_tokens=1_000)).total_nusd == 3_000_000


def test_a_cached_rate_of_zero_is_free_and_not_unknown() -> None:
    free = price("3", "15", cached_input_usd_per_mtok=Decimal(0))
    assert quote_cost(free, TokenUsage(1_000, 0, cached_tokens=1_000)).total_nusd == 0


def test_a_long_prompt_is_billed_at_its_tier() -> None:
    tiered = price("1", "2", tiers=(PriceTier(200_000, Decimal(2), Decimal(4)),))
    assert quote_cost(tiered, TokenUsage(200_000, 1)).total_nusd == 200_000 * 1_000 + 2_000
    assert quote_cost(tiered, TokenUsage(200_001, 1)).total_nusd == 200_001 * 2_000 + 4_000


def test_a_fraction_of_a_nano_dollar_is_rounded_up_once() -> None:
    cost = quote_cost(price("0.0003", "0.0003"), TokenUsage(1, 1))
    assert cost.total_nusd == 1
    assert cost.prompt_nusd + cost.completion_nusd == 1


@given(prices(), usages())
def test_a_bill_equals_rational_arithmetic_rounded_up_and_its_parts_sum_to_it(price: Price, usage: TokenUsage) -> None:
    cached = price.input_usd_per_mtok if price.cached_input_usd_per_mtok is None else price.cached_input_usd_per_mtok
    written = price.input_usd_per_mtok if price.cache_write_usd_per_mtok is None else price.cache_write_usd_per_mtok
    plain = usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens
    exact = 1_000 * (
        plain * Fraction(price.input_usd_per_mtok)
        + usage.cached_tokens * Fraction(cached)
        + usage.cache_write_tokens * Fraction(written)
        + usage.completion_tokens * Fraction(price.output_usd_per_mtok)
    ) + 10**9 * Fraction(price.request_usd)
    cost = quote_cost(price, usage)
    assert cost.total_nusd == -(-exact.numerator // exact.denominator)
    assert cost.prompt_nusd + cost.completion_nusd + cost.request_nusd == cost.total_nusd


def test_a_cached_token_is_billed_at_the_rate_of_the_prompts_tier() -> None:
    cheap_cache = price("3", "15", cached_input_usd_per_mtok=Decimal("0.3"))
    no_cache = replace(cheap_cache, tiers=(PriceTier(1_000, Decimal(6), Decimal(30)),))
    assert quote_cost(no_cache, TokenUsage(1_000, 0, cached_tokens=1_000)).total_nusd == 1_000 * 300
    assert quote_cost(no_cache, TokenUsage(1_001, 0, cached_tokens=1_000)).total_nusd == 1_001 * 6_000


@given(tiered_prices(), usages(), st.integers(0, 1_000_000), st.integers(0, 10_000), st.floats(0, 1))
def test_no_usage_costs_more_than_the_most_that_so_many_tokens_can(
    price: Price, usage: TokenUsage, more_prompt: int, more_completion: int, share_for_an_hour: float
) -> None:
    for_an_hour = int(share_for_an_hour * usage.cache_write_tokens)
    cost = quote_cost(price, replace(usage, cache_write_1h_tokens=for_an_hour)).total_nusd
    assert cost <= quote_most(price, usage.prompt_tokens, usage.completion_tokens)
    assert cost <= quote_most(price, usage.prompt_tokens + more_prompt, usage.completion_tokens + more_completion)


@given(st.lists(tiered_prices(), min_size=1, max_size=4), usages())
def test_the_expected_cost_is_the_bill_of_the_expected_tokens(priced: list[Price], usage: TokenUsage) -> None:
    table = LaneTable.build([lane_at(price, number) for number, price in enumerate(priced)], ["alpha"])
    one = np.ones(1, np.float32)
    prediction = Prediction(one / 2, one / 10, one * usage.completion_tokens, 0.0, 1.0, one)
    state = replace(LaneState.unmeasured(table), cached_tokens=np.full(len(table), float(usage.cached_tokens)))
    expected = expect_outcomes(table, prediction, RouteContext("a prompt", 8, usage.prompt_tokens), state)
    for row, rates in enumerate(priced):
        bill = quote_cost(rates, replace(usage, cache_write_tokens=0))  # no write to a cache is expected of a request
        # The sum of two products and a discount, in floats; the bill is rounded up to a whole nano-dollar.
        scale = quote_most(rates, usage.prompt_tokens, usage.completion_tokens)
        assert expected.cost_usd[row] * NUSD_PER_USD == pytest.approx(bill.total_nusd - 0.5, abs=0.5 + 1e-14 * scale)


def lane_at(price: Price, number: int) -> Lane:
    return Lane(f"p/{number}", "p", f"{number}", "vendor/m", "p", price, trained_name="alpha")


@pytest.mark.parametrize("rate", ["-1", "NaN", "Infinity"])
def test_an_impossible_rate_is_refused_by_name(rate: str) -> None:
    with pytest.raises(PriceError, match="output_usd_per_mtok"):
        price("1", rate)


def test_a_price_without_a_source_is_refused() -> None:
    with pytest.raises(PriceError, match="source"):
        Price(Decimal(1), Decimal(1), "", TODAY)


def test_negative_tokens_are_refused() -> None:
    with pytest.raises(PriceError, match="negative"):
        TokenUsage(-1, 0)


def test_a_price_is_found_by_its_exact_id_and_never_by_a_prefix() -> None:
    table = PriceTable.from_rows([("anthropic", "opus-4", price("15", "75"))])
    assert table.price_of("anthropic", "opus-4") is not None
    assert table.price_of("anthropic", "opus-4-7") is None
    assert table.price_of("bedrock", "opus-4") is None


def test_the_snapshot_id_depends_on_the_prices_alone() -> None:
    rows = [("a", "x", price("1", "2")), ("b", "y", price("3", "4"))]
    other_source = [(provider, name, replace(row, source="elsewhere")) for provider, name, row in reversed(rows)]
    assert PriceTable.from_rows(rows).snapshot_id == PriceTable.from_rows(other_source).snapshot_id
    costlier = [rows[0], ("b", "y", price("3", "4.1"))]
    assert PriceTable.from_rows(rows).snapshot_id != PriceTable.from_rows(costlier).snapshot_id
