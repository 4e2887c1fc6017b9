"""Prices of a table in the format of the package genai-prices, for exact ids and one moment."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from genai_prices.types import ModelInfo, ModelPrice, TieredPrices, TimeOfDateConstraint

from router.price_table import Price, PriceTier
from serve.catalogue.published_table import PublishedTable, packaged_table

_ZERO: Final = Decimal(0)
_RATES: Final = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok")
_TIER_KEYS: Final = ("service_tier", "speed", "processing")
"""What a service tier is chosen by: OpenAI's and Google's `service_tier`, Anthropic's `speed`, and the batch API."""
_STANDARD: Final = "default"


class PackagedPrices:
    """The prices of a table at one moment.

    A table has dated rates, and the moment says which ones hold. Some prices depend on the hour (DeepSeek). Then the
    most expensive hour of the day counts, so that no caller is billed more than was quoted.

    Args:
        moment: Time for which prices are looked up.
        table: Table to look in; None: the one of the installed package.
    """

    def __init__(self, moment: datetime, table: PublishedTable | None = None) -> None:
        self._moment = moment
        self.table = table or packaged_table()
        """The table that prices are looked up in."""
        self._models = {
            provider.id: {model.id: model for model in provider.models} for provider in self.table.providers
        }

    def context_tokens(self, provider: str, model_id: str) -> int | None:
        """Return the context length of a model at a provider, by their ids in the table. None: unknown."""
        model = self._models.get(provider, {}).get(model_id)
        return model.context_window if model else None

    def price_of(self, provider: str, model_id: str, *, has_output: bool = True) -> Price | None:
        """Return the price of exactly this model. None: the table does not have it, or no text rates of it.

        Args:
            provider: Id of the provider in the table.
            model_id: Id of the model in the table.
            has_output: Whether the model writes tokens. Embeddings write none and need no rate for them.

        Raises:
            PriceError: A rate of the table is negative or no number.
        """
        model = self._models.get(provider, {}).get(model_id)
        if model is None:
            return None
        contexts = {
            name: {key: name}
            for variant in model.price_variants or ()
            for key, name in variant.when.items()
            if len(variant.when) == 1 and key in _TIER_KEYS and name != _STANDARD
        }
        tiers = ((name, self._price(model, contexts[name], (), has_output=has_output)) for name in sorted(contexts))
        priced_tiers = tuple((name, price) for name, price in tiers if price is not None)
        return self._price(model, None, priced_tiers, has_output=has_output)

    def _price(
        self,
        model: ModelInfo,
        context: dict[str, str] | None,
        service_tiers: tuple[tuple[str, Price], ...],
        *,
        has_output: bool,
    ) -> Price | None:
        midnight = self._moment.replace(hour=0, minute=30, second=0, microsecond=0)
        hours = range(24) if _depends_on_hour(model) else (12,)
        rates = max((model.get_prices(midnight + timedelta(hours=hour), context) for hour in hours), key=_expense)
        return _as_price(rates, self.table, service_tiers, has_output=has_output)


def _depends_on_hour(model: ModelInfo) -> bool:
    dated = [*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ())]
    return any(isinstance(price.constraint, TimeOfDateConstraint) for price in dated)


def _expense(rates: ModelPrice) -> Decimal:
    return sum((_base(getattr(rates, name, None)) or _ZERO for name in _RATES[:2]), _ZERO)


def _as_price(
    rates: ModelPrice, table: PublishedTable, service_tiers: tuple[tuple[str, Price], ...], *, has_output: bool
) -> Price | None:
    rate_of = {name: getattr(rates, name, None) for name in _RATES}
    thresholds = sorted(
        {tier.start for rate in rate_of.values() if isinstance(rate, TieredPrices) for tier in rate.tiers}
    )
    base = {name: _base(rate) for name, rate in rate_of.items()}
    input_rate, output_rate = base["input_mtok"], base["output_mtok"] if has_output else _ZERO
    if input_rate is None or output_rate is None:
        return None
    return Price(
        input_rate,
        output_rate,
        table.source,
        table.dated,
        cached_input_usd_per_mtok=base["cache_read_mtok"],
        cache_write_usd_per_mtok=base["cache_write_mtok"],
        cache_write_1h_usd_per_mtok=base["cache_write_1h_mtok"],
        request_usd=_each(rates, "requests_kcount") or _ZERO,
        web_search_usd=_each(rates, "web_searches_kcount"),
        file_search_usd=_each(rates, "storage_searches_kcount"),
        tiers=tuple(
            PriceTier(
                start,
                _rate_above(rate_of["input_mtok"], start) or _ZERO,
                _rate_above(rate_of["output_mtok"], start) or _ZERO,
                _rate_above(rate_of["cache_read_mtok"], start),
                _rate_above(rate_of["cache_write_mtok"], start),
                _rate_above(rate_of["cache_write_1h_mtok"], start),
            )
            for start in thresholds
        ),
        service_tiers=service_tiers,
    )


def _each(rates: ModelPrice, name: str) -> Decimal | None:
    """Return the price of one piece of something that is sold by the thousand."""
    per_thousand = _base(getattr(rates, name, None))
    return None if per_thousand is None else per_thousand / 1000


def _base(rate: Decimal | TieredPrices | None) -> Decimal | None:
    return rate.base if isinstance(rate, TieredPrices) else rate


def _rate_above(rate: Decimal | TieredPrices | None, start: int) -> Decimal | None:
    if not isinstance(rate, TieredPrices):
        return rate
    price = rate.base
    for tier in rate.tiers:
        if tier.start <= start:
            price = tier.price
    return price
