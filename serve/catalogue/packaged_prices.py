"""Prices of the package genai-prices: exact ids only, as of a moment, with the package's version as their source."""

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
    """Looks prices up as they are at `moment`.

    `checked_on` of a price is the day of `moment`: the package says which of its dated rates holds then. Where a provider's price depends on the hour (DeepSeek), the dearest hour of the day counts: nobody is billed more than was quoted.
    """

    def __init__(self, moment: datetime) -> None:
        self._moment = moment
        self._source = f"{PACKAGE} {version(PACKAGE)}"
        self._models = {provider.id: {model.id: model for model in provider.models} for provider in data.providers}

    def context_tokens(self, provider: str, model_id: str) -> int | None:
        """Return the context length stated for a model at a provider, by their ids in the package; None: not stated."""
        model = self._models.get(provider, {}).get(model_id)
        return model.context_window if model else None

    def price_of(self, provider: str, model_id: str, *, has_output: bool = True) -> Price | None:
        """Return the price of exactly this model, by the package's ids; None where it is not there or has no text rates.

        Args:
            provider, model_id: In the package.
            has_output: False for embeddings, which give no tokens: they need no rate for them.
        """
        model = self._models.get(provider, {}).get(model_id)
        if model is None:
            return None
        rates = max((self._rates_at(model, hour) for hour in range(24)), key=_dearness)
        return _as_price(rates, self._source, self._moment, has_output=has_output)

    def _rates_at(self, model: ModelInfo, hour: int) -> ModelPrice:
        midnight = self._moment.replace(hour=0, minute=30, second=0, microsecond=0)
        return model.get_prices(midnight + timedelta(hours=hour))


def _dearness(rates: ModelPrice) -> Decimal:
    return sum((_base(getattr(rates, name, None)) or _ZERO for name in _RATES[:2]), _ZERO)


def _as_price(rates: ModelPrice, source: str, moment: datetime, *, has_output: bool) -> Price | None:
    found = {name: getattr(rates, name, None) for name in _RATES}
    thresholds = sorted(
        {tier.start for rate in found.values() if isinstance(rate, TieredPrices) for tier in rate.tiers}
    )
    base = {name: _base(rate) for name, rate in found.items()}
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
                _rate_above(found["input_mtok"], start) or _ZERO,
                _rate_above(found["output_mtok"], start) or _ZERO,
                _rate_above(found["cache_read_mtok"], start),
                _rate_above(found["cache_write_mtok"], start),
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
