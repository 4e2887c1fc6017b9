"""Notices lanes whose price has changed since the last look. Blocks; for a thread."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from router.lane_table import LaneTable
from serve.alerts.watch_repository import Alarm, WatchRepository

PRICES: Final = "prices"


class PriceWatch:
    """Compares the prices of lanes with the stored ones, which all workers share.

    Args:
        repository: Store of the prices.
        change_percent: Least change of a price that raises an alarm, percent.
    """

    def __init__(self, repository: WatchRepository, change_percent: float) -> None:
        self._repository = repository
        self._change_percent = change_percent

    def look(self, account: str, table: LaneTable, now_us: int) -> list[Alarm]:
        """Store an account's prices; return the alarms."""
        name = (PRICES, account, "")
        stored = self._repository.state(name)
        noted: Mapping[str, Any] = {} if stored is None else stored.value
        present = {
            lane.lane_id: [str(lane.price.input_usd_per_mtok), str(lane.price.output_usd_per_mtok)]
            for lane in table.lanes
        }
        if all(noted.get(lane_id) == prices for lane_id, prices in present.items()):
            return []
        alarms = [
            alarm
            for lane_id in present
            if (alarm := self._changed(account, lane_id, noted, present, now_us)) is not None
        ]
        # Lanes that are gone keep their last price, so that a lane that comes back more expensive is noticed.
        revision = 0 if stored is None else stored.revision
        is_saved = self._repository.save(name, revision, {name: {**noted, **present}}, now_us, alarms)
        return alarms if is_saved else []

    def _changed(
        self, account: str, lane_id: str, noted: Mapping[str, Any], present: Mapping[str, list[str]], now_us: int
    ) -> Alarm | None:
        if lane_id not in noted:
            return None
        before, now = noted[lane_id], present[lane_id]
        change = max(
            (_change_percent(Decimal(old), Decimal(new)) for old, new in zip(before, now, strict=True)), key=abs
        )
        if abs(change) < self._change_percent:
            return None
        message = (
            f"The price of {lane_id} changed: {before[0]} in, {before[1]} out before, "
            f"{now[0]} in, {now[1]} out now, USD per million tokens."
        )
        return Alarm(account, "price", lane_id, now_us, change, self._change_percent, message)


def _change_percent(before: Decimal, now: Decimal) -> float:
    if before == now:
        return 0.0
    return 1e6 if before == 0 else float((now - before) / before * 100)
