"""Writes down what lanes are and cost whenever they change, so that an export tells what the prices of its attempts were."""

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
    """Notices other lanes and prices within a second, and never on a request's way.

    Args:
        repository: Where they are written.
        directories: Returns the directories of this moment; asked on the event loop.
        clock: For the time of it.
    """

    def __init__(
        self, repository: PricedLaneRepository, directories: Callable[[], Iterable[LaneDirectory]], clock: Clock
    ) -> None:
        self._repository = repository
        self._directories = directories
        self._clock = clock
        self._noted: tuple[LaneDirectory, ...] = ()

    async def note(self) -> None:
        """Write down the lanes of the directories that are new since the last time.

        Raises:
            sqlalchemy.exc.DBAPIError: The database failed; they are written the next time.
        """
        current = tuple(self._directories())
        known = {id(directory) for directory in self._noted}  # which are held, so that no other gets an id of theirs
        fresh = [directory for directory in current if id(directory) not in known]
        if fresh:
            at = self._clock.now()
            rows = [
                lane_row(lane, directory.price_snapshot_id, at) for directory in fresh for lane in directory.table.lanes
            ]
            await asyncio.to_thread(self._repository.put, rows)
        self._noted = current

    async def follow(self) -> None:
        """Note every second, until cancelled."""
        while True:
            try:
                await self.note()
            except DBAPIError as error:
                _log.warning(
                    "lanes and prices are not written down: the database failed: %s", type(error.orig).__name__
                )
            await asyncio.sleep(_EVERY_S)


def lane_row(lane: Lane, price_snapshot_id: str, noted_at: datetime) -> LaneRow:
    """Return what an export says of a lane."""
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
    )
