"""Our own prices: one YAML file per provider in `data/prices`. They win over the package genai-prices."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field

from router.price_table import Price
from serve.catalogue.model_rows import OfferRow
from serve.catalogue.provider_rows import ProviderRow
from serve.catalogue.yaml_file import CatalogueRow, read_rows
from serve.errors import ConfigurationError
from serve.packaged_files import data_dir

Rate = Annotated[Decimal, Field(ge=0)]


class PriceRow(CatalogueRow):
    """USD per million tokens of one model."""

    model: str = Field(min_length=1, description="The id sent on the wire.")
    input: Rate
    output: Rate
    cached_input: Rate | None = None
    cache_write: Rate | None = None


class PriceFile(CatalogueRow):
    """The prices of one provider, all from one source and one day."""

    provider: str
    source: str = Field(min_length=3)
    checked_on: date
    prices: tuple[PriceRow, ...]

    def as_prices(self) -> dict[tuple[str, str], Price]:
        """Return (provider, upstream model) -> price."""
        return {
            (self.provider, row.model): Price(
                row.input,
                row.output,
                self.source,
                self.checked_on,
                cached_input_usd_per_mtok=row.cached_input,
                cache_write_usd_per_mtok=row.cache_write,
            )
            for row in self.prices
        }


def load_own_prices(folder: Path) -> dict[tuple[str, str], Price]:
    """Return (provider, upstream model) -> price of all files.

    Raises:
        ConfigurationError: A file is malformed, its provider is not its file name, or it lists a model twice.
    """
    prices: dict[tuple[str, str], Price] = {}
    for path in sorted(folder.glob("*.yaml")):
        file = read_rows(path, PriceFile)
        prices_of_file = file.as_prices()
        if file.provider != path.stem or len(prices_of_file) != len(file.prices):
            raise ConfigurationError(f"{path}: the provider must be {path.stem!r}, and every model must be listed once")
        prices |= prices_of_file
    return prices


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
