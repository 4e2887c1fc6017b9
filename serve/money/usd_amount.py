"""Amounts of US dollars as people type them."""

from decimal import Decimal, InvalidOperation

from serve.errors import BadRequestError


def usd_of_text(text: str) -> Decimal:
    """Return an amount of US dollars as people write it: `60`, `12.50` or `$1,250.50`.

    Raises:
        BadRequestError: The text is no amount.
    """
    try:
        amount = Decimal(text.strip().removeprefix("$").replace(",", ""))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise BadRequestError(f"{text[:80]!r} is no amount of US dollars. Write 60 or 12.50.", param="monthly_usd")
    return amount
