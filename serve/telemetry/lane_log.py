"""Stores what lanes are and cost whenever they change, so that an export holds the prices of its attempts."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy.exc import DBAPIError

from router.lane import Lane
from router.telemetry_schema import LaneRow
from serve.clock import Clock
from serve.lanes.directory import LaneDirectory
from serve.telemetry.priced_lane_repository import PricedLaneRepository

_EVERY_S = 1.0
_log = logging.getLogger("llmdeal.telemetry")


class LaneLog:
    """Notices changed lanes and prices within a second, off the request path.

    Args:
        repository: Store of lanes and prices.
        directories: Function that returns the present directories; called on the event loop.
        clock: Time.
    """

    def __init__(
        self, repository: PricedLaneRepository, directories: Callable[[], Iterable[LaneDirectory]], clock: Clock
    ) -> None:
        self._repository = repository
        self._directories = directories
        self._clock = clock
        self._noted: tuple[LaneDirectory, ...] = ()

    async def note(self) -> None:
        """Store the lanes of directories that are new since the last call.

        Raises:
            sqlalchemy.exc.DBAPIError: The database failed; the next call stores them.
        """
        current = tuple(self._directories())
        stored_ids = {id(directory) for directory in self._noted}  # they are held, so no other object gets their ids
        fresh = [directory for directory in current if id(directory) not in stored_ids]
        if fresh:
            at = self._clock.now()
            rows = [
                lane_row(lane, directory.price_snapshot_id, at) for directory in fresh for lane in directory.table.lanes
            ]
            await asyncio.to_thread(self._repository.put, rows)
        self._noted = current

    async def follow(self) -> None:
        """Store changes every second, until cancelled."""
        while True:
            try:
                await self.note()
            except DBAPIError as error:
                _log.warning("lanes and prices are not stored: the database failed: %s", type(error.orig).__name__)
            await asyncio.sleep(_EVERY_S)


def lane_row(lane: Lane, price_snapshot_id: str, noted_at: datetime) -> LaneRow:
    """Return the row of a lane in an export."""
    price, prior = lane.price, lane.prior
    cached = price.cached_input_usd_per_mtok
    return LaneRow(
        price_snapshot_id=price_snapshot_id,
        lane_id=lane.lane_id,
        provider=lane.provider,
        upstream_model=lane.upstream_model,
        vendor_model=lane.vendor_model,
        trained_name=lane.trained_name,
        region=lane.region,
        input_usd_per_mtok=float(price.input_usd_per_mtok),
        output_usd_per_mtok=float(price.output_usd_per_mtok),
        cached_input_usd_per_mtok=None if cached is None else float(cached),
        request_usd=float(price.request_usd),
        context_tokens=lane.context_tokens,
        ability=None if prior is None else prior.ability,
        ability_std=None if prior is None else prior.ability_std,
        noted_at=noted_at,
        effort=lane.effort,
    )
