"""Which changes of prices in use need a confirmation."""

from datetime import date
from decimal import Decimal

import pytest

from router.price_table import Price, PriceTier
from serve.catalogue.price_sources import PriceUse
from serve.prices.comparison import compare, problems_of


def price(rate: str, **others: object) -> Price:
    return Price(Decimal(rate), Decimal(rate), "a test", date(2026, 11, 1), **others)  # type: ignore[arg-type]


def uses(n: int) -> list[PriceUse]:
    return [PriceUse("p", f"m{number:02}", "p", f"m{number:02}") for number in range(n)]


def problems(before: Price | None, after: Price | None) -> list[str]:
    use = uses(1)[0]
    return problems_of(compare({use: before}, lambda _: after), 20)


@pytest.mark.parametrize(
    ("before", "after", "is_large"),
    [
        ("2", "2.99", False),
        ("2", "3", True),
        ("2", "1.01", False),
        ("2", "1", True),
        ("0", "1", True),
        ("2", "2", False),
    ],
)
def test_a_rate_that_moves_by_half_or_more_needs_a_confirmation(before: str, after: str, is_large: bool) -> None:
    assert bool(problems(price(before), price(after))) == is_large


def test_rates_of_long_prompts_service_tiers_and_searches_count() -> None:
    plain = price("1", web_search_usd=Decimal("0.01"), service_tiers=(("flex", price("0.5")),))
    assert problems(plain, plain) == []
    long = (PriceTier(200_000, Decimal(2), Decimal(1)),)
    for changed, word in (
        (price("1", web_search_usd=Decimal("0.02"), service_tiers=(("flex", price("0.5")),)), "web_search"),
        (price("1", web_search_usd=Decimal("0.01")), "flex"),
        (price("1", web_search_usd=Decimal("0.01"), service_tiers=(("flex", price("0.5")),), tiers=long), "above"),
    ):
        assert word in problems(plain, changed)[0]


def test_a_price_of_a_search_that_was_unknown_needs_no_confirmation() -> None:
    assert problems(price("1"), price("1", web_search_usd=Decimal("0.01"))) == []


@pytest.mark.parametrize(("n_gone", "is_many"), [(0, False), (1, False), (2, True)])
def test_more_than_a_twentieth_of_the_models_in_use_may_not_go(n_gone: int, is_many: bool) -> None:
    used = dict.fromkeys(uses(20), price("1"))
    gone = set(uses(n_gone))
    problems_seen = problems_of(compare(used, lambda use: None if use in gone else price("1")), 20)
    assert bool(problems_seen) == is_many
    assert all("2 of 20 models in use are gone: p/m00, p/m01" in problem for problem in problems_seen)


def test_a_model_that_gets_its_first_price_is_a_change_without_a_problem() -> None:
    (use,) = uses(1)
    changes = compare({use: None}, lambda _: price("1"))
    assert [change.name for change in changes] == ["p/m00"]
    assert problems_of(changes, 0) == []
