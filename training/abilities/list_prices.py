"""List prices of the package genai-prices, looked up by a model's `vendor/name`."""

import re
from collections.abc import Collection, Iterator
from decimal import Decimal

from genai_prices import data
from genai_prices.types import ModelPrice, TieredPrices

from training.abilities.model_facts import without_dates

_SUFFIX = re.compile(r"-(it|instruct|preview|exp|latest|chat|beta|fp8|001|002)(?=-|$)")
_NOT_LIST_PRICES = (":batch", ":free")


class ListPrices:
    """Prices by name. OpenRouter's come first, because its ids are of the form `vendor/name`.

    Args:
        providers: Ids of the providers of genai-prices that are looked at. None: all.
    """

    def __init__(self, providers: Collection[str] | None = None) -> None:
        self._by_vendor: dict[tuple[str, str], tuple[float, float]] = {}
        self._by_name: dict[str, tuple[float, float]] = {}
        chosen = [provider for provider in data.providers if providers is None or provider.id in providers]
        for provider in sorted(chosen, key=lambda provider: provider.id != "openrouter"):
            for model in provider.models:
                rates = model.prices if isinstance(model.prices, ModelPrice) else model.prices[-1].prices
                price = _rate(rates.input_mtok), _rate(rates.output_mtok)
                if price[0] and price[1] and not model.id.endswith(_NOT_LIST_PRICES):
                    self._add(model.id, (price[0], price[1]))

    def price_of(self, model: str) -> tuple[float, float] | None:
        """Return the input and output price in USD per million tokens. None: the package does not have the model.

        Args:
            model: Name, `vendor/name`. Dates and endings as `-instruct` are left out if the exact name is not there.
        """
        vendor, _, name = model.lower().rpartition("/")
        for spelling in _spellings(name):
            price = self._by_vendor.get((vendor, spelling)) or self._by_name.get(spelling)
            if price:
                return price
        return None

    def _add(self, model_id: str, price: tuple[float, float]) -> None:
        vendor, _, name = model_id.lower().rpartition("/")
        for spelling in _spellings(name):
            self._by_vendor.setdefault((vendor.rpartition("/")[2], spelling), price)
            self._by_name.setdefault(spelling, price)


def _rate(rate: Decimal | TieredPrices | None) -> float:
    value = rate.base if isinstance(rate, TieredPrices) else rate
    return float(value or 0)


def _spellings(name: str) -> Iterator[str]:
    plain = re.sub(r"(?<=\d)p(?=\d)", ".", name.split(":")[0]).replace(".", "-").replace("_", "-")
    yield plain
    undated = without_dates(plain)
    yield undated
    yield _SUFFIX.sub("", undated)
