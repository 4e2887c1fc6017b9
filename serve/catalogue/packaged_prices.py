"""Prices of the package genai-prices, for exact ids and one moment. Their source is the version of the package."""

from datetime import datetime, timedelta
from decimal import Decimal
from importlib.metadata import version

from genai_prices import data
from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

from router.price_table import Price, PriceTier

PACKAGE = "genai-prices"
_ZERO = Decimal(0)
_RATES = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")


class PackagedPrices:
    """The packaged prices at one moment.

    `checked_on` of a price is the day of `moment`: the package has dated rates and says which one holds then. Some
    prices depend on the hour (DeepSeek). Then the most expensive hour of the day counts, so that no caller is billed
    more than was quoted.

    Args:
        moment: Time for which prices are looked up.
    """

    def __init__(self, moment: datetime) -> None:
        self._moment = moment
        self._source = f"{PACKAGE} {version(PACKAGE)}"
        self._models = {provider.id: {model.id: model for model in provider.models} for provider in data.providers}

    def context_tokens(self, provider: str, model_id: str) -> int | None:
        """Return the context length of a model at a provider, by their ids in the package. None: unknown."""
        model = self._models.get(provider, {}).get(model_id)
        return model.context_window if model else None

    def price_of(self, provider: str, model_id: str, *, has_output: bool = True) -> Price | None:
        """Return the price of exactly this model. None: the package does not have it, or no text rates of it.

        Args:
            provider: Id of the provider in the package.
            model_id: Id of the model in the package.
            has_output: Whether the model writes tokens. Embeddings write none and need no rate for them.
        """
        model = self._models.get(provider, {}).get(model_id)
        if model is None:
            return None
        rates = max((self._rates_at(model, hour) for hour in range(24)), key=_expense)
        return _as_price(rates, self._source, self._moment, has_output=has_output)

    def _rates_at(self, model: ModelInfo, hour: int) -> ModelPrice:
        midnight = self._moment.replace(hour=0, minute=30, second=0, microsecond=0)
        return model.get_prices(midnight + timedelta(hours=hour))


def _expense(rates: ModelPrice) -> Decimal:
    return sum((_base(getattr(rates, name, None)) or _ZERO for name in _RATES[:2]), _ZERO)


def _as_price(rates: ModelPrice, source: str, moment: datetime, *, has_output: bool) -> Price | None:
    rate_of = {name: getattr(rates, name, None) for name in _RATES}
    thresholds = sorted(
        {tier.start for rate in rate_of.values() if isinstance(rate, TieredPrices) for tier in rate.tiers}
    )
    base = {name: _base(rate) for name, rate in rate_of.items()}
    input_rate, output_rate = base["input_mtok"], base["output_mtok"] if has_output else _ZERO
    if input_rate is None or output_rate is None:
        return None
    per_thousand_requests = getattr(rates, "requests_kcount", None) or _ZERO
    return Price(
        input_rate,
        output_rate,
        source,
        moment.date(),
        cached_input_usd_per_mtok=base["cache_read_mtok"],
        cache_write_usd_per_mtok=base["cache_write_mtok"],
        request_usd=(_base(per_thousand_requests) or _ZERO) / 1000,
        tiers=tuple(
            PriceTier(
                start,
                _rate_above(rate_of["input_mtok"], start) or _ZERO,
                _rate_above(rate_of["output_mtok"], start) or _ZERO,
                _rate_above(rate_of["cache_read_mtok"], start),
                _rate_above(rate_of["cache_write_mtok"], start),
            )
            for start in thresholds
        ),
    )


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
