"""Our own prices: one YAML file per provider in `data/prices`. They win over every table."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field

from router.price_table import Price
from serve.catalogue.yaml_file import CatalogueRow, read_rows
from serve.errors import ConfigurationError

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
