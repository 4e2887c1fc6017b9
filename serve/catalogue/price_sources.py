"""Where the price of an offer comes from, at one moment, and which prices were looked up.

Our own rows come first, then the operator's file, the provider's own list, and the published table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from router.price_table import Price
from serve.catalogue.model_rows import OfferRow
from serve.catalogue.price_rows import load_own_prices
from serve.catalogue.provider_rows import ProviderRow
from serve.packaged_files import data_dir

if TYPE_CHECKING:
    from serve.catalogue.packaged_prices import PackagedPrices
    from serve.catalogue.provider_lists import ProviderList
    from serve.catalogue.published_table import PublishedTable


_OFTEN_MISSING: Final = (
    "cached_input_usd_per_mtok",
    "cache_write_usd_per_mtok",
    "cache_write_1h_usd_per_mtok",
    "web_search_usd",
    "file_search_usd",
    "tiers",
)
"""What providers' lists often leave out. A rate for cached tokens that is unknown would count as the input rate."""


@dataclass(frozen=True, slots=True)
class PriceTables:
    """The tables that prices are looked up in. None and empty stand for the table of the installed package alone.

    Args:
        published: A published table that is newer than the package's; None: there is none.
        file: The operator's own file; None: there is none.
        lists: Id of a provider's row -> its own list.
    """

    published: "PublishedTable | None" = None
    file: "PublishedTable | None" = None
    lists: "Mapping[str, ProviderList]" = field(default_factory=lambda: MappingProxyType({}))

    def with_list(self, of_provider: "ProviderList") -> "PriceTables":
        """Return the tables with another list of one provider."""
        return replace(self, lists=MappingProxyType({**self.lists, of_provider.provider: of_provider}))


@dataclass(frozen=True, slots=True)
class PriceUse:
    """One price that was looked up, so that it can be looked up again in other tables.

    Args:
        provider: Id of the provider's row.
        model: Id of the model, as sent on the wire.
        table_provider: Id of the provider in published tables; None: they do not have it.
        table_model: Id of the model in published tables.
        has_output: Whether the model writes tokens.
    """

    provider: str
    model: str
    table_provider: str | None
    table_model: str
    has_output: bool = True


class PriceSources:
    """Looks up prices at one moment, and remembers them.

    Args:
        now: Time for which prices are looked up.
        tables: Tables to look in; None: the table of the installed package alone.

    Raises:
        ConfigurationError: One of our own files is malformed.
    """

    def __init__(self, now: datetime, tables: PriceTables | None = None) -> None:
        # Imported here: a gateway without provider keys never needs it.
        from serve.catalogue.packaged_prices import PackagedPrices

        tables = tables or PriceTables()
        self.used: dict[PriceUse, Price | None] = {}
        """The prices that were looked up; None: it is unknown."""
        self._own = load_own_prices(data_dir() / "prices")
        self._file = None if tables.file is None else PackagedPrices(now, tables.file)
        self.lists = tables.lists
        """Id of a provider's row -> its own list."""
        self.published = PackagedPrices(now, tables.published)
        """The prices of the published table, or of the installed package."""
        in_file = () if tables.file is None else (tables.file,)
        self.tables = (*in_file, self.published.table)
        """The tables that are not of one provider alone, in the order in which they count."""

    def price_of(self, row: ProviderRow, offer: OfferRow) -> Price | None:
        """Return the price of an offer. None: it is unknown."""
        return self._noted(PriceUse(row.id, offer.model, row.packaged_prices, offer.price_id or offer.model))

    def embedding_price_of(self, row: ProviderRow, model_id: str) -> Price | None:
        """Return the price of an embedding model; its answers cost nothing. None: it is unknown."""
        return self._noted(PriceUse(row.id, model_id, row.packaged_prices, model_id, has_output=False))

    def look_up(self, use: PriceUse) -> Price | None:
        """Return the price of something that was looked up before, without noting it. None: it is unknown."""
        own = self._own.get((use.provider, use.model))
        if own is not None:
            return own
        in_file = _in_table(self._file, use)
        if in_file is not None:
            return in_file
        published = _in_table(self.published, use)
        in_list = self.lists[use.provider].prices.get(use.model) if use.provider in self.lists else None
        return published if in_list is None else _completed(in_list, published)

    def _noted(self, use: PriceUse) -> Price | None:
        if use not in self.used:
            self.used[use] = self.look_up(use)
        return self.used[use]


def _completed(listed: Price, published: Price | None) -> Price:
    """Return a price of a provider's list, with what such lists leave out taken from the published table."""
    if published is None:
        return listed
    missing = {name: getattr(published, name) for name in _OFTEN_MISSING if getattr(listed, name) in (None, ())}
    return replace(listed, **missing)


def _in_table(table: "PackagedPrices | None", use: PriceUse) -> Price | None:
    if table is None or use.table_provider is None:
        return None
    return table.price_of(use.table_provider, use.table_model, has_output=use.has_output)
