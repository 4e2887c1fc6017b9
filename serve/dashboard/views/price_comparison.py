"""Lanes for which two sources name different prices. The catalogue is read once, because that takes a moment."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from router.lane import Lane
from router.price_table import Price
from serve.packaged_files import data_dir

if TYPE_CHECKING:
    from serve.catalogue.packaged_prices import PackagedPrices


_PACKAGE = "genai-prices"


def differing_prices(
    lanes: Sequence[Lane], now: datetime, published: "Callable[[], PackagedPrices] | None" = None
) -> dict[str, Price]:
    """Return lane id -> price in the published table, for lanes with another price from another source.

    Args:
        lanes: Lanes. Those whose price is from another source are compared: a file of data/prices, the provider's own
            list, the operator's file or settings. All of them win over the published table.
        now: Present time.
        published: Function that returns the prices of the published table; None: those of the installed package.
    """
    elsewhere = [
        lane for lane in lanes if not lane.price.source.startswith(_PACKAGE) and lane.provider in _packaged_ids()
    ]
    if not elsewhere:
        return {}
    packaged = published() if published else _packaged(now.replace(hour=0, minute=0, second=0, microsecond=0))
    others = {
        lane.lane_id: packaged.price_of(_packaged_ids()[lane.provider], lane.upstream_model) for lane in elsewhere
    }
    return {
        lane.lane_id: other
        for lane in elsewhere
        if (other := others[lane.lane_id]) is not None and _rates(other) != _rates(lane.price)
    }


def _rates(price: Price) -> tuple[object, object]:
    return price.input_usd_per_mtok, price.output_usd_per_mtok


@lru_cache(maxsize=1)
def _packaged_ids() -> dict[str, str]:
    from serve.catalogue.provider_rows import load_provider_rows

    return {row.id: row.packaged_prices for row in load_provider_rows(data_dir() / "providers") if row.packaged_prices}


@lru_cache(maxsize=1)
def _packaged(moment: datetime) -> "PackagedPrices":
    from serve.catalogue.packaged_prices import PackagedPrices

    return PackagedPrices(moment)
