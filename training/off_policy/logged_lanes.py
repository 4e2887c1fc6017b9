"""Builds a lane table from logged lanes, as the gateway builds its own.

So a logged lane finds its model in any bundle, or gets the belief of its prior, as it would online.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import numpy as np

from router.bundle import Bundle
from router.lane import Lane, QualityPrior
from router.lane_table import UNKNOWN_ABILITY_STD, LaneTable
from router.price_table import Price
from training.telemetry.lane_book import LaneBook, LoggedLane
from training.telemetry.logged_requests import LoggedRequests, Mask

_SOURCE = "as logged"
_SAME_STD = 0.01
"""Two standard deviations count as equal if they differ by at most this share: the log has fewer digits."""


def latest_lanes(logs: LoggedRequests) -> list[LoggedLane]:
    """Return the newest note about each lane of the logged requests, in the order of their columns."""
    book = logs.lane_book or LaneBook()
    named = zip(logs.lane_ids, logs.trained_names, strict=True)
    return [book.latest.get(lane_id) or LoggedLane(trained_name=trained) for lane_id, trained in named]


def lay_out(lane_ids: Sequence[str], lanes: Sequence[LoggedLane], bundle: Bundle) -> LaneTable:
    """Return the lane table that the gateway would build for a bundle.

    Args:
        lane_ids: Ids of the rows.
        lanes: Notes about the rows' lanes.
        bundle: Bundle that the gateway decides with.
    """
    rows = zip(lane_ids, lanes, strict=True)
    return LaneTable.build(
        [_lane(lane_id, lane, bundle) for lane_id, lane in rows], bundle.trained_names, bundle.catalogue
    )


def is_judged_by_prior(logs: LoggedRequests, lanes: Sequence[LoggedLane]) -> Mask:
    """Return which lanes had a belief from their noted prior alone, shape (m,): not from training or graded answers.

    The log does not say so, but it follows from the numbers. The standard deviation of a belief q from a prior is
    q (1 - q) times the prior's standard deviation, whatever was learned online on top of it.
    """
    quality, std = logs.quality.astype(np.float64), logs.quality_std.astype(np.float64)
    spread = quality * (1 - quality)
    is_by_prior = np.zeros(len(lanes), np.bool_)
    for column, lane in enumerate(lanes):
        is_usable = (spread[:, column] > 0) & np.isfinite(std[:, column])
        if not lane.is_noted or not is_usable.any():
            continue
        implied = float(np.median(std[is_usable, column] / spread[is_usable, column]))
        noted = UNKNOWN_ABILITY_STD if lane.ability_std is None else lane.ability_std
        is_by_prior[column] = abs(implied - noted) <= _SAME_STD * noted
    return is_by_prior


def _lane(lane_id: str, lane: LoggedLane, bundle: Bundle) -> Lane:
    input_usd, output_usd = lane.input_usd_per_mtok or 0.0, lane.output_usd_per_mtok or 0.0
    vendor_model = lane.vendor_model or lane_id
    prior = None
    if lane.ability is not None and lane.ability_std is not None:
        prior = QualityPrior(lane.ability, lane.ability_std, _SOURCE)
    elif bundle.ability_prior is not None and output_usd > 0 and lane.trained_name not in bundle.trained_names:
        prior = QualityPrior(bundle.ability_prior.of(vendor_model, output_usd), bundle.ability_prior.std, _SOURCE)
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
        effort=lane.effort,
    )
