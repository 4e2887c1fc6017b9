"""Where two sources name a lane's price and differ. Reads the catalogue, which takes a moment, once."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from router.lane import Lane
from router.price_table import Price
from serve.resources import data_dir

if TYPE_CHECKING:
    from serve.catalogue.packaged_prices import PackagedPrices


def differing_prices(lanes: Sequence[Lane], now: datetime) -> dict[str, Price]:
    """Return lane id -> the price that the source which was not used has for it, where input or output rates differ.

    Our own files win over the package genai-prices, so the other price is the package's; lanes that the operator priced have one source.
    """
    known = {lane.provider for lane in lanes} & set(_packaged_ids())
    if not known:
        return {}
    packaged, own_keys = _packaged(now.replace(hour=0, minute=0, second=0, microsecond=0)), _own_keys()
    found = {}
    for lane in lanes:
        if lane.provider in known and (lane.provider, lane.upstream_model) in own_keys:
            other = packaged.price_of(_packaged_ids()[lane.provider], lane.upstream_model)
            if other is not None and _rates(other) != _rates(lane.price):
                found[lane.lane_id] = other
    return found


def _rates(price: Price) -> tuple[object, object]:
    return price.input_usd_per_mtok, price.output_usd_per_mtok


@lru_cache(maxsize=1)
def _packaged_ids() -> dict[str, str]:
    from serve.catalogue.provider_rows import load_provider_rows

    return {row.id: row.packaged_prices for row in load_provider_rows(data_dir() / "providers") if row.packaged_prices}


@lru_cache(maxsize=1)
def _own_keys() -> frozenset[tuple[str, str]]:
    from serve.catalogue.price_rows import load_own_prices

    return frozenset(load_own_prices(data_dir() / "prices"))


@lru_cache(maxsize=1)
def _packaged(moment: datetime) -> "PackagedPrices":
    from serve.catalogue.packaged_prices import PackagedPrices

    return PackagedPrices(moment)
