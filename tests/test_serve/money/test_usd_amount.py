"""Amounts of US dollars as people type them."""

from decimal import Decimal

import pytest

from serve.errors import BadRequestError, ConfigurationError
from serve.money.configured_budgets import nusd_of_usd
from serve.money.usd_amount import usd_of_text


@pytest.mark.parametrize(
    ("text", "usd"),
    [("60", "60"), (" 12.50 ", "12.50"), ("$1,250.50", "1250.50"), ("-1", "-1"), ("1e999999", "1e999999")],
)
def test_an_amount_is_read_as_people_write_it(text: str, usd: str) -> None:
    assert usd_of_text(text) == Decimal(usd)


@pytest.mark.parametrize("text", ["", "a lot", "1.2.3", "nan", "sNaN", "inf", "-Infinity"])
def test_a_text_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError, match="no amount of US dollars"):
        usd_of_text(text)


@pytest.mark.parametrize("usd", ["-1", "0.0000000001", "4611686018.427387904", "1e999999", "NaN", "sNaN", "Infinity"])
def test_a_budget_that_no_ledger_can_keep_is_refused(usd: str) -> None:
    with pytest.raises(ConfigurationError, match="the budget of account:x"):
        nusd_of_usd("account:x", Decimal(usd))


def test_the_largest_budget_is_kept_to_the_nano_dollar() -> None:
    assert nusd_of_usd("account:x", Decimal("4611686018.427387903")) == 2**62 - 1
