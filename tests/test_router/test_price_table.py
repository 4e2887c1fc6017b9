"""Money: exact, rounded up once, never mixed up between models."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import prices, service_tiers, tiered_prices, usages

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


@given(
    tiered_prices(),
    usages(),
    st.integers(0, 1_000_000),
    st.integers(0, 10_000),
    st.floats(0, 1),
    st.none() | service_tiers,
    st.booleans(),
    st.integers(0, 9),
)
def test_no_usage_costs_more_than_the_most_that_so_many_tokens_can(
    price: Price,
    usage: TokenUsage,
    more_prompt: int,
    more_completion: int,
    share_for_an_hour: float,
    requested: str | None,
    is_served_so: bool,
    searches: int,
) -> None:
    for_an_hour = int(share_for_an_hour * usage.cache_write_tokens)
    served = requested if is_served_so else "default"
    usage = replace(usage, cache_write_1h_tokens=for_an_hour, service_tier=served, web_searches=searches)
    cost = quote_cost(price, usage).total_nusd
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    assert cost <= quote_most(price, prompt, completion, requested, searches)
    assert cost <= quote_most(price, prompt + more_prompt, completion + more_completion, requested, searches)


@given(st.lists(tiered_prices(), min_size=1, max_size=4), usages(), st.none() | service_tiers)
def test_the_expected_cost_is_the_bill_of_the_expected_tokens(
    priced: list[Price], usage: TokenUsage, tier: str | None
) -> None:
    table = LaneTable.build([lane_at(price, number) for number, price in enumerate(priced)], ["alpha"])
    one = np.ones(1, np.float32)
    prediction = Prediction(one / 2, one / 10, one * usage.completion_tokens, 0.0, 1.0, one)
    state = replace(LaneState.unmeasured(table), cached_tokens=np.full(len(table), float(usage.cached_tokens)))
    context = RouteContext("a prompt", 8, usage.prompt_tokens, service_tier=tier)
    expected = expect_outcomes(table, prediction, context, state)
    for row, rates in enumerate(priced):
        bill = quote_cost(
            rates, replace(usage, cache_write_tokens=0), tier
        )  # no write to a cache is expected of a request
        # The sum of two products and a discount, in floats; the bill is rounded up to a whole nano-dollar.
        scale = quote_most(rates, usage.prompt_tokens, usage.completion_tokens, tier)
        assert expected.cost_usd[row] * NUSD_PER_USD == pytest.approx(bill.total_nusd - 0.5, abs=0.5 + 1e-14 * scale)


def lane_at(price: Price, number: int) -> Lane:
    return Lane(f"p/{number}", "p", f"{number}", "vendor/m", "p", price, trained_name="alpha")


HALF = price("1.5", "7.5", cached_input_usd_per_mtok=Decimal("0.15"))
TIERED = price("3", "15", service_tiers=(("flex", HALF),), web_search_usd=Decimal("0.01"))


def test_the_service_tier_that_the_provider_served_is_billed() -> None:
    assert quote_cost(TIERED, TokenUsage(1_000, 100, service_tier="flex")).total_nusd == 1_000 * 1_500 + 100 * 7_500
    standard = 1_000 * 3_000 + 100 * 15_000
    assert quote_cost(TIERED, TokenUsage(1_000, 100)).total_nusd == standard
    assert quote_cost(TIERED, TokenUsage(1_000, 100, service_tier="default"), "flex").total_nusd == standard


def test_the_requested_service_tier_is_billed_if_the_provider_names_none() -> None:
    assert quote_cost(TIERED, TokenUsage(1_000, 100), "flex").total_nusd == 1_000 * 1_500 + 100 * 7_500


def test_searches_are_billed_by_the_piece_and_unknown_prices_are_not() -> None:
    cost = quote_cost(TIERED, TokenUsage(0, 0, web_searches=5, file_searches=3))
    assert cost == Cost(50_000_000, 0, 0, 50_000_000, is_incomplete=True)
    assert not quote_cost(TIERED, TokenUsage(0, 0, web_searches=5)).is_incomplete


def test_a_rate_for_writes_kept_an_hour_wins_over_the_factor() -> None:
    both = price("3", "15", cache_write_1h_usd_per_mtok=Decimal(5), cache_write_1h_factor=Decimal(2))
    assert quote_cost(both, TokenUsage(10, 0, 0, 10, cache_write_1h_tokens=10)).total_nusd == 10 * 5_000


def test_a_factor_scales_every_amount() -> None:
    doubled = replace(TIERED, cache_write_1h_usd_per_mtok=Decimal(6)).times(Decimal(2), "twice")
    usage = TokenUsage(1_000, 100, web_searches=1, cache_write_tokens=500, cache_write_1h_tokens=500)
    single = replace(TIERED, cache_write_1h_usd_per_mtok=Decimal(6))
    for tier in (None, "flex"):
        assert quote_cost(doubled, usage, tier).total_nusd == 2 * quote_cost(single, usage, tier).total_nusd
    assert {doubled.source, doubled.at("flex").source} == {"twice"}


def test_tables_that_differ_in_a_service_tier_or_a_search_have_different_ids() -> None:
    others = [price("3", "15"), replace(TIERED, web_search_usd=None), replace(TIERED, service_tiers=())]
    others.append(replace(TIERED, service_tiers=(("priority", HALF),)))
    ids = {PriceTable.from_rows([("p", "m", each)]).snapshot_id for each in (TIERED, *others)}
    assert len(ids) == 5


def test_service_tiers_are_sorted_and_have_no_tiers_of_their_own() -> None:
    for tiers in ((("flex", HALF), ("batch", HALF)), (("flex", HALF), ("flex", HALF)), (("flex", TIERED),)):
        with pytest.raises(PriceError, match="service tiers"):
            replace(TIERED, service_tiers=tiers)


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
