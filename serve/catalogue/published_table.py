"""Tables of prices in the format of genai-prices: the one in the installed package, and published or copied ones.

A table has a date of its own. For the package it is the day of its release. Files say nothing about their day, so
the newest day on which one of their prices began is taken: the file is at least as new as that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from serve.catalogue.yaml_file import CatalogueRow, read_rows
from serve.errors import ConfigurationError
from serve.packaged_files import data_dir

if TYPE_CHECKING:  # imported where it is used: a gateway without provider keys never needs the package
    from genai_prices.types import ModelPrice, Provider

PACKAGE: Final = "genai-prices"
_RELEASE_FILE: Final = "packaged_prices.yaml"
_EPOCH: Final = date(2020, 1, 1)


class MalformedTableError(ConfigurationError):
    """A table of prices is not in its format, or holds a price that cannot be."""


class _Release(CatalogueRow):
    version: str
    released_on: date
    source: str
    checked_on: date


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """The prices of many providers.

    Args:
        providers: Providers with their models and dated prices.
        source: Origin of the table, as shown next to each price.
        dated: Day of the data.
    """

    providers: "Sequence[Provider]"
    source: str
    dated: date

    def newest_rate(self, until: date) -> date:
        """Return the newest day, up to `until`, on which a price of the table began. It orders tables by their age.

        Prices that were announced for later than the table's own day say nothing of its age.
        """
        last = min(until, self.dated)
        return max((start for start in _start_dates(self.providers) if start <= last), default=_EPOCH)


@lru_cache(maxsize=1)
def packaged_table() -> PublishedTable:
    """Return the table of the installed package; its date is that of the package's release.

    For a version whose release is not on file, it is the newest day on which a price began before the installation.

    Raises:
        ConfigurationError: The file of the release is malformed.
    """
    from genai_prices import data

    package = distribution(PACKAGE)
    release = read_rows(data_dir() / _RELEASE_FILE, _Release)
    table = PublishedTable(data.providers, f"{PACKAGE} {package.version}", release.released_on)
    if release.version == package.version:
        return table
    return PublishedTable(table.providers, table.source, table.newest_rate(_installed_on(str(data.__file__))))


def read_table(payload: object, source: str, read_on: date, published_on: date | None = None) -> PublishedTable:
    """Return a table in the published format of the package: a JSON array of providers.

    Args:
        payload: Decoded JSON.
        source: Origin of the table, as shown next to each price.
        read_on: Day on which it was read; prices that begin later do not date the table.
        published_on: Day of the file, if its server says it; None: unknown.

    Raises:
        MalformedTableError: It is not in that format, is empty, or has a negative rate.
    """
    # The package has no public reader of its published file; this is the one that its own updater uses (0.2.3).
    from genai_prices.types import _providers_from_raw

    if not isinstance(payload, list) or not payload:
        raise MalformedTableError(
            f"{source}: not a table of prices: it must be a JSON array of providers, as published"
        )
    try:
        providers = _providers_from_raw(payload)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:120]
        raise MalformedTableError(f"{source}: not a table of prices: {where}: {first['msg']}") from None
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise MalformedTableError(f"{source}: not a table of prices: {type(error).__name__}") from None
    for provider in providers:
        for model_id, rate in _rates_of(provider):
            if not (rate.is_finite() and rate >= 0):
                raise MalformedTableError(f"{source}: {provider.id}/{model_id}: a rate must be 0 or more, got {rate}")
    undated = PublishedTable(providers, source, read_on)
    return PublishedTable(providers, source, min(published_on or undated.newest_rate(read_on), read_on))


def _installed_on(file: str) -> date:
    return datetime.fromtimestamp(Path(file).stat().st_mtime, UTC).date()


def _start_dates(providers: "Sequence[Provider]") -> Iterator[date]:
    from genai_prices.types import StartDateConstraint

    for provider in providers:
        for model in provider.models:
            dated = [*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ())]
            for price in dated:
                if isinstance(price.constraint, StartDateConstraint):
                    yield price.constraint.start_date


def _rates_of(provider: "Provider") -> Iterator[tuple[str, Any]]:
    for model in provider.models:
        prices = [price.prices for price in model.prices] if isinstance(model.prices, list) else [model.prices]
        prices += [variant.prices for variant in model.price_variants or ()]
        for price in prices:
            for rate in _amounts(price):
                yield model.id, rate


def _amounts(price: "ModelPrice") -> Iterator[Any]:
    from genai_prices.types import TieredPrices

    for rate in vars(price).values():
        if isinstance(rate, TieredPrices):
            yield rate.base
            yield from (tier.price for tier in rate.tiers)
        elif rate is not None:
            yield rate
