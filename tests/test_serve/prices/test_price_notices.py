"""Old prices and tables that wait are said to the operator, with what to do."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest

from router.price_table import Price
from serve.prices.notices import quarantine_notices, stale_notices
from serve.prices.table_file import TableFile

TODAY = date(2026, 11, 30)


def price(dated: date | None, source: str = "a table") -> Price:
    return Price(Decimal(1), Decimal(1), source, dated)


@pytest.mark.parametrize(("day", "n_notices"), [(16, 0), (15, 1)])
def test_a_price_is_old_after_fourteen_days(day: int, n_notices: int) -> None:
    assert len(stale_notices([price(date(2026, 11, day))], TODAY, has_sources=False)) == n_notices


def test_a_price_that_the_operator_set_is_never_old() -> None:
    assert stale_notices([price(None)], TODAY, has_sources=False) == []


def test_one_notice_for_each_source_the_oldest_first() -> None:
    prices = [price(date(2026, 11, 1)), price(date(2026, 11, 1)), price(date(2026, 10, 1), "another")]
    assert stale_notices(prices, TODAY, has_sources=True) == [
        "Prices of 1 lane are 60 days old (another). llmdeal prices refresh asks the allowed sources now.",
        "Prices of 2 lanes are 29 days old (a table). llmdeal prices refresh asks the allowed sources now.",
    ]
    (first, _) = stale_notices(prices, TODAY, has_sources=False)
    assert first.endswith('Allow newer ones: sources = ["published"] under [prices] in llmdeal.toml.')


def test_a_table_that_waits_is_named_with_its_problems_and_the_commands() -> None:
    at = datetime(2026, 11, 30, tzinfo=UTC)
    file = TableFile("openrouter", "openrouter.ai/api/v1/models", at, None, msgspec.Raw(b"{}"), problems=("a", "b"))
    (notice,) = quarantine_notices([file])
    assert "openrouter.ai/api/v1/models are not used yet: a; b." in notice
    assert "llmdeal prices confirm openrouter" in notice
