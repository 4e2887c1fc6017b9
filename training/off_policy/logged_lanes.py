"""Lanes of logs, laid out as the gateway lays out its own: found in any bundle, or judged by their prior, as they would be online."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import numpy as np

from router.ability_prior import AbilityPrior
from router.lane import Lane, QualityPrior
from router.lane_table import UNKNOWN_ABILITY_STD, LaneTable
from router.price_table import Price
from training.telemetry.lane_book import LaneBook, LoggedLane
from training.telemetry.logged_requests import LoggedRequests, Mask

_SOURCE = "as logged"
_SAME_STD = 0.01
"""Deviations that are this near to each other, as a share, are the same one, logged with fewer digits."""


def latest_lanes(logs: LoggedRequests) -> list[LoggedLane]:
    """Return the lanes of logged requests, in the order of their columns."""
    book = logs.lane_book or LaneBook()
    named = zip(logs.lane_ids, logs.trained_names, strict=True)
    return [book.latest.get(lane_id) or LoggedLane(trained_name=trained) for lane_id, trained in named]


def lay_out(
    lane_ids: Sequence[str], lanes: Sequence[LoggedLane], trained_names: Sequence[str], price_prior: AbilityPrior | None
) -> LaneTable:
    """Return the lanes as the gateway would lay them out for a bundle.

    Args:
        lane_ids: Of the rows.
        lanes: Likewise.
        trained_names: Models of the bundle.
        price_prior: The bundle's, for lanes of which nothing else is believed; None: it has none.
    """
    rows = zip(lane_ids, lanes, strict=True)
    return LaneTable.build([_lane(lane_id, lane, trained_names, price_prior) for lane_id, lane in rows], trained_names)


def is_judged_by_prior(logs: LoggedRequests, lanes: Sequence[LoggedLane]) -> Mask:
    """Return which lanes the gateway judged by their noted prior alone, shape (m,): not by training, nor by graded answers of their own.

    The log does not say so, but it shows: the deviation of a belief by a prior is q (1 - q) times the prior's, whatever was learned online on top of it.
    """
    quality, std = logs.quality.astype(np.float64), logs.quality_std.astype(np.float64)
    spread = quality * (1 - quality)
    found = np.zeros(len(lanes), np.bool_)
    for column, lane in enumerate(lanes):
        is_told = (spread[:, column] > 0) & np.isfinite(std[:, column])
        if not lane.is_noted or not is_told.any():
            continue
        implied = float(np.median(std[is_told, column] / spread[is_told, column]))
        noted = UNKNOWN_ABILITY_STD if lane.ability_std is None else lane.ability_std
        found[column] = abs(implied - noted) <= _SAME_STD * noted
    return found


def _lane(lane_id: str, lane: LoggedLane, trained_names: Sequence[str], price_prior: AbilityPrior | None) -> Lane:
    input_usd, output_usd = lane.input_usd_per_mtok or 0.0, lane.output_usd_per_mtok or 0.0
    vendor_model = lane.vendor_model or lane_id
    prior = None
    if lane.ability is not None and lane.ability_std is not None:
        prior = QualityPrior(lane.ability, lane.ability_std, _SOURCE)
    elif price_prior is not None and output_usd > 0 and lane.trained_name not in trained_names:
        prior = QualityPrior(price_prior.of(vendor_model, output_usd), price_prior.std, _SOURCE)
    price = Price(
        Decimal(str(input_usd)), Decimal(str(output_usd)), _SOURCE, date.min, request_usd=Decimal(str(lane.request_usd))
    )
    return Lane(
        lane_id=lane_id,
        provider=lane_id.partition("/")[0],
        upstream_model=lane_id,
        vendor_model=vendor_model,
        account=lane_id,
        price=price,
        trained_name=lane.trained_name,
        prior=prior,
    )
