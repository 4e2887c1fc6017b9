"""Prices in providers' own lists of models, which they answer at `/models`. Which providers have any is said here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final

from router.errors import PriceError
from router.price_table import Price
from serve.catalogue.published_table import MalformedTableError

_MTOK: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class ProviderList:
    """The prices of one provider's own list.

    Args:
        provider: Id of the provider's row.
        prices: Id of the model, as sent on the wire -> its price.
        source: Origin of the list, as shown next to each price.
        dated: Day on which the provider gave it.
    """

    provider: str
    prices: Mapping[str, Price]
    source: str
    dated: date


def read_list(provider: str, payload: object, source: str, read_on: date) -> ProviderList:
    """Return the prices of a provider's list. Models without a price of tokens are left out.

    Args:
        provider: Id of the provider's row; one of `LISTS`.
        payload: Decoded JSON.
        source: Origin of the list, as shown next to each price.
        read_on: Day on which it was read; such a list is always that of the moment.

    Raises:
        MalformedTableError: It is not a list of models, or none of them has a price.
    """
    rows = payload.get("data") if isinstance(payload, dict) else payload
    if not isinstance(rows, list):
        raise MalformedTableError(f"{source}: not a list of models: it must be a JSON array, or an object with `data`")
    prices: dict[str, Price] = {}
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("id"), str):
            raise MalformedTableError(f"{source}: not a list of models: every model must be an object with an `id`")
        try:
            amounts = LISTS[provider](row)
            if amounts is None:
                continue
            prices[row["id"]] = Price(**amounts, source=source, checked_on=read_on)
        except (InvalidOperation, PriceError, TypeError, ValueError, AttributeError) as error:
            raise MalformedTableError(
                f"{source}: {row['id']}: the price cannot be read ({type(error).__name__})"
            ) from None
    if not prices:
        raise MalformedTableError(f"{source}: no model of the list has a price")
    return ProviderList(provider, MappingProxyType(prices), source, read_on)


Amounts = dict[str, Any]


def _openrouter(row: Mapping[str, Any]) -> Amounts | None:
    """USD per token, per request or per search, as text. A negative price means that it depends on the request."""
    pricing = row.get("pricing") or {}
    prompt, completion = _amount(pricing.get("prompt")), _amount(pricing.get("completion"))
    if prompt is None or completion is None or min(prompt, completion) < 0:
        return None
    cached, written = _amount(pricing.get("input_cache_read")), _amount(pricing.get("input_cache_write"))
    return {
        "input_usd_per_mtok": prompt * _MTOK,
        "output_usd_per_mtok": completion * _MTOK,
        "cached_input_usd_per_mtok": None if cached is None else cached * _MTOK,
        "cache_write_usd_per_mtok": None if written is None else written * _MTOK,
        "request_usd": _amount(pricing.get("request")) or Decimal(0),
        "web_search_usd": _amount(pricing.get("web_search")),
    }


def _together(row: Mapping[str, Any]) -> Amounts | None:
    """USD per million tokens. Models that are sold by the hour have 0 for tokens."""
    return _per_mtok(row.get("pricing") or {}, "input", "output", "cached_input")


def _deepinfra(row: Mapping[str, Any]) -> Amounts | None:
    """USD per million tokens, in `metadata`."""
    pricing = (row.get("metadata") or {}).get("pricing") or {}
    return _per_mtok(pricing, "input_tokens", "output_tokens", "cache_read_tokens")


def _per_mtok(pricing: Mapping[str, Any], prompt: str, completion: str, cached: str) -> Amounts | None:
    amounts = _amount(pricing.get(prompt)), _amount(pricing.get(completion))
    if amounts[0] is None or amounts[1] is None or not any(amounts):
        return None
    return {
        "input_usd_per_mtok": amounts[0],
        "output_usd_per_mtok": amounts[1],
        "cached_input_usd_per_mtok": _amount(pricing.get(cached)),
    }


def _amount(value: object) -> Decimal | None:
    return None if value in (None, "") else Decimal(str(value))


LISTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Amounts | None]]] = {
    "deepinfra": _deepinfra,
    "openrouter": _openrouter,
    "together": _together,
}
"""Provider whose list has prices -> reader of one of its models."""
