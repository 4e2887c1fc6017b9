"""Runs the watch next to the requests: learns from feedback, compares prices and prompts, and moves the lanes."""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy.exc import DBAPIError

from router.account_correction import LaneCoefficients
from router.arrays import Floats
from serve.alerts.watch_alerts import WatchAlerts
from serve.alerts.watch_repository import Alarm
from serve.clock import Clock
from serve.instant import to_microseconds
from serve.lanes.directories import LaneDirectories
from serve.lanes.directory import LaneDirectory
from serve.metrics import Metrics
from serve.watch.account_watch import AccountWatch
from serve.watch.lane_watch import LaneWatch, shifts_of_lanes
from serve.watch.price_watch import PriceWatch
from serve.watch.prompt_watch import PromptWatch

LEARN_S: Final = 5.0
LOOK_EVERY: Final = 60
"""Rounds between two whole ones, which also compare prices and prompts and let all shifts fade: five minutes."""
_SECOND_US: Final = 1_000_000
_log = logging.getLogger("llmdeal.watch")
_Shifts = Mapping[str, Floats | None]
"""Version of the bundle -> the shifts of a directory's lanes; None: they have none."""


class WatchFollower:
    """The watch of one worker.

    Args:
        directories: Every account's lanes; they receive the shifts that the watch learns.
        lanes: Watch over the quality of lanes.
        prices: Watch over prices.
        prompts: Watch over prompts.
        accounts: Accounts' own corrections.
        alerts: Sender of alarms to the operator; None: the settings have no alerts.
        clock: Time.
        metrics: Counters; alarms are counted there.
        moves_lanes: Whether lanes receive the shifts; otherwise they are only shown.
    """

    def __init__(
        self,
        directories: LaneDirectories,
        lanes: LaneWatch,
        prices: PriceWatch,
        prompts: PromptWatch,
        accounts: AccountWatch,
        alerts: WatchAlerts | None,
        clock: Clock,
        metrics: Metrics,
        *,
        moves_lanes: bool = True,
    ) -> None:
        self._directories = directories
        self._lanes = lanes
        self._prices = prices
        self._prompts = prompts
        self._accounts = accounts
        self._alerts = alerts
        self._clock = clock
        self._metrics = metrics
        self._moves_lanes = moves_lanes
        self._read_until_us = 0
        self._random = random.Random()  # noqa: S311 - jitter, not a secret; its own, so that it changes no other draws

    async def follow(self) -> None:
        """Begin with the stored shifts, then learn and compare until cancelled."""
        n_rounds = 0
        while True:
            try:
                await self.round(is_whole=n_rounds % LOOK_EVERY == 0)
            except DBAPIError as error:
                _log.error("the database of the watch is away: %s", type(error.orig).__name__)
            n_rounds += 1
            await asyncio.sleep(LEARN_S * self._random.uniform(0.8, 1.2))  # so that workers do not all come at once

    async def round(self, *, is_whole: bool) -> None:
        """Learn from feedback, and give the lanes their shifts.

        Args:
            is_whole: Whether to compare prices and prompts too, and to let all shifts fade, not only those of lanes
                with new feedback.
        """
        now = to_microseconds(self._clock.now())
        directories = dict(self._directories.by_account())
        coefficients = await asyncio.to_thread(self._corrections, directories, is_whole)
        for account, by_bundle in coefficients.items():
            directories[account].account_coefficients.clear()
            directories[account].account_coefficients.update(by_bundle)
        alarms, shifts = await asyncio.to_thread(self._work, now, directories, is_whole)
        for account, by_version in shifts.items():
            # Another bundle's layout of the same lanes shares these dictionaries; other lanes get theirs in the next
            # whole round.
            _apply(directories[account], by_version)
        for alarm in alarms:
            self._metrics.note_watch_alarm(alarm.kind)
            _log.warning("account %s: %s", alarm.account, alarm.message)

    def _corrections(
        self, directories: Mapping[str, LaneDirectory], is_whole: bool
    ) -> Mapping[str, Mapping[str, LaneCoefficients]]:
        if not self._accounts.look() and not is_whole:
            return {}
        return {
            account: self._accounts.coefficients_of(account, directory) for account, directory in directories.items()
        }

    def _work(
        self, now_us: int, directories: Mapping[str, LaneDirectory], is_whole: bool
    ) -> tuple[Sequence[Alarm], Mapping[str, _Shifts]]:
        has_new_bundle = self._lanes.look()
        alarms = self._lanes.learn(now_us)
        if is_whole:
            for account, directory in directories.items():
                alarms += self._prices.look(account, directory.table, now_us)
                alarms += self._prompts.look(account, directory.table, now_us)
        if alarms and self._alerts is not None:
            self._alerts.tell(alarms, now_us)
        if not self._moves_lanes:
            return alarms, {}
        reads_all = is_whole or has_new_bundle
        since_us = 0 if reads_all else self._read_until_us
        shifts: dict[str, dict[str, Floats | None]] = {}
        if reads_all:  # shifts that are no longer stored, because an account was erased, are no longer applied
            shifts = {
                account: dict.fromkeys(list(directory.quality_shifts)) | self._beginnings_of(directory, now_us)
                for account, directory in directories.items()
            }
        for (account, version), learning in self._lanes.read(since_us).items():
            if account in directories:
                moved = shifts_of_lanes(learning, directories[account].table, now_us / _SECOND_US)
                shifts.setdefault(account, {})[version] = moved
        for account, by_version in shifts.items():
            directory = directories[account]
            if directory.router_version in by_version:
                moved = by_version[directory.router_version]
                directory.bar.prepare_shift(None if moved is None else moved[: len(directory.choosable)])
        self._read_until_us = now_us - 60 * _SECOND_US  # clocks of other machines may be a little behind
        return alarms, shifts

    def _beginnings_of(self, directory: LaneDirectory, now_us: int) -> dict[str, Floats | None]:
        """Return version of the bundle -> the lanes' shifts before any feedback came under it."""
        at_s = now_us / _SECOND_US
        return {
            version: shifts_of_lanes(learning, directory.table, at_s)
            for version, learning in self._lanes.beginnings().items()
        }


def _apply(directory: LaneDirectory, by_version: _Shifts) -> None:
    for version, shift in by_version.items():
        if shift is None:
            directory.quality_shifts.pop(version, None)
        else:
            directory.quality_shifts[version] = shift
