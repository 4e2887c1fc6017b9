"""Prices from all sources: our own files first, then the package."""

from datetime import datetime

from router.price_table import Price
from serve.catalogue.model_rows import OfferRow
from serve.catalogue.price_rows import load_own_prices
from serve.catalogue.provider_rows import ProviderRow
from serve.packaged_files import data_dir


class PriceSources:
    """Looks up prices at one moment.

    Args:
        now: Time for which prices are looked up.

    Raises:
        ConfigurationError: One of our own files is malformed.
    """

    def __init__(self, now: datetime) -> None:
        # Imported here: a gateway without provider keys never needs it.
        from serve.catalogue.packaged_prices import PackagedPrices

        self._own = load_own_prices(data_dir() / "prices")
        self._packaged = PackagedPrices(now)

    def price_of(self, row: ProviderRow, offer: OfferRow) -> Price | None:
        """Return the price of an offer. None: it is unknown."""
        own = self._own.get((row.id, offer.model))
        if own is not None or row.packaged_prices is None:
            return own
        return self._packaged.price_of(row.packaged_prices, offer.price_id or offer.model)

    def embedding_price_of(self, row: ProviderRow, model_id: str) -> Price | None:
        """Return the price of an embedding model; its answers cost nothing. None: it is unknown."""
        own = self._own.get((row.id, model_id))
        if own is not None or row.packaged_prices is None:
            return own
        return self._packaged.price_of(row.packaged_prices, model_id, has_output=False)
