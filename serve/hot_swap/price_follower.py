"""Follows the prices while the gateway runs: asks allowed sources in turn, and gives the lanes new prices.

A request keeps the lanes that it was decided on, so it is billed at the prices of its decision.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from serve.alerts.outbox import AlertRepository
from serve.alerts.watch_alerts import WatchAlerts
from serve.alerts.watch_repository import Alarm, WatchRepository
from serve.catalogue.price_sources import PriceSources
from serve.clock import Clock
from serve.errors import ConfigurationError
from serve.hot_swap.identity_follower import IdentityFollower
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.instant import to_microseconds
from serve.lanes.assembler import LaneAssembler
from serve.metrics import Metrics
from serve.prices.notices import quarantine_notices, stale_notices
from serve.prices.refresh import PriceRefresh, Refreshed
from serve.prices.store import PriceStore, Signature
from serve.prices.table_file import TableFile

if TYPE_CHECKING:
    from serve.catalogue.packaged_prices import PackagedPrices

FOLLOW_S: Final = 2.0
ALARM: Final = "price_table"
_log = logging.getLogger("llmdeal.prices")


class PriceAlarms:
    """Raises one alarm for each table that is kept aside, whatever the number of workers.

    Args:
        repository: Store of alarms.
        alerts: Sender of alarms to the operator; None: the settings have no alerts.
        metrics: Counters; alarms are counted there.
    """

    def __init__(self, repository: WatchRepository, alerts: WatchAlerts | None, metrics: Metrics) -> None:
        self._repository = repository
        self._alerts = alerts
        self._metrics = metrics

    def ring(self, refreshed: Refreshed, now_us: int) -> None:
        """Raise the alarm of a table that was kept aside."""
        name = (ALARM, "", refreshed.name)
        stored = self._repository.state(name)
        message = (
            f"New prices from {refreshed.name} are kept aside: {'; '.join(refreshed.problems)}. "
            f"Use them with llmdeal prices confirm {refreshed.name}."
        )
        problems = len(refreshed.problems)
        alarm = Alarm(DEFAULT_ACCOUNT, ALARM, refreshed.name, now_us, float(problems), 1.0, message)
        revision = 0 if stored is None else stored.revision
        state = {"problems": list(refreshed.problems)}
        if not self._repository.save(name, revision, {name: state}, now_us, [alarm]):
            return
        self._metrics.note_watch_alarm(ALARM)
        if self._alerts is not None:
            self._alerts.tell([alarm], now_us)


@dataclass(slots=True)
class _Seen:
    """What the lanes' prices were looked up in: the day, and the tables by name and content."""

    day: date
    tables: frozenset[tuple[str, str]]


class PriceFollower:
    """The prices of one worker.

    Args:
        store: Folder of the tables.
        refresh: Asks the sources that are allowed.
        assembler: Assembler of lanes.
        identity: Follower of keys and accounts; it assembles the lanes of all accounts.
        alarms: Raises alarms about tables that are kept aside.
        clock: Time.
        has_sources: Whether any source is allowed.
    """

    def __init__(
        self,
        store: PriceStore,
        refresh: PriceRefresh,
        assembler: LaneAssembler,
        identity: IdentityFollower,
        alarms: PriceAlarms,
        clock: Clock,
        *,
        has_sources: bool,
    ) -> None:
        self._store = store
        self._refresh = refresh
        self._assembler = assembler
        self._identity = identity
        self._alarms = alarms
        self._clock = clock
        self._has_sources = has_sources
        # The lanes were assembled before this. If tables are stored, the first round looks whether one came meanwhile.
        self._signature: Signature | None = None if store.signature() else ()
        self._seen = _Seen(clock.now().date(), store.contents())
        self._quarantined = tuple(store.quarantined())

    def notices(self) -> tuple[str, ...]:
        """Return what the operator should know about the prices at this moment."""
        prices = [price for price in self._assembler.used_prices.values() if price is not None]
        stale = stale_notices(prices, self._clock.now().date(), has_sources=self._has_sources)
        return (*quarantine_notices(self._quarantined), *stale)

    def published(self) -> "PackagedPrices":
        """Return the prices of the published table in use, or of the installed package."""
        return self._assembler.prices.published

    @property
    def quarantined(self) -> tuple[TableFile, ...]:
        """The tables that wait for confirmation."""
        return self._quarantined

    async def follow(self) -> None:
        """Ask sources that are due, and use changed tables and the prices of a new day, until cancelled."""
        while True:
            try:
                await self.round()
            except ConfigurationError as error:
                _log.error("prices stay as they are: %s", error)
            except DBAPIError as error:
                _log.error("the database is away, prices stay as they are: %s", type(error.orig).__name__)
            await asyncio.sleep(FOLLOW_S)

    async def round(self) -> None:
        """Ask the sources that are due, and give all lanes the prices of the stored tables."""
        now = self._clock.now()
        for refreshed in await asyncio.to_thread(self._ask) or ():
            if refreshed.outcome == "quarantined" and refreshed.is_new:
                _log.warning("prices: %s is kept aside: %s", refreshed.name, "; ".join(refreshed.problems))
                await asyncio.to_thread(self._alarms.ring, refreshed, to_microseconds(now))
        signature = await asyncio.to_thread(self._store.signature)
        if signature == self._signature and now.date() == self._seen.day:
            return
        seen, prices, is_changed = await asyncio.to_thread(self._look)
        if is_changed:
            async with self._identity.lanes_lock:
                former = self._assembler.prices
                self._assembler.use_prices(prices)
                try:
                    await self._identity.reassemble()
                except BaseException:
                    self._assembler.use_prices(former)
                    raise
            _log.info("prices: new prices are in use")
        self._quarantined = tuple(await asyncio.to_thread(self._store.quarantined))
        is_new_day = seen.day != self._seen.day
        self._signature, self._seen = signature, seen
        for notice in self.notices() if is_new_day else ():
            _log.warning("%s", notice)

    def _ask(self) -> list[Refreshed] | None:
        return self._refresh.round(self._assembler.used_prices, self._clock.now())

    def _look(self) -> tuple[_Seen, PriceSources, bool]:
        """Return the prices of this moment, and whether the lanes need them."""
        now = self._clock.now()
        seen = _Seen(now.date(), self._store.contents())
        prices = PriceSources(now, self._store.tables(now.date()))
        used = self._assembler.used_prices
        is_changed = seen.tables != self._seen.tables or any(
            prices.look_up(use) != price for use, price in used.items()
        )
        return seen, prices, is_changed


def price_alarms(engine: Engine, metrics: Metrics, *, has_alerts: bool) -> PriceAlarms:
    """Return what raises alarms about tables that are kept aside."""
    alerts = WatchAlerts(AlertRepository(engine)) if has_alerts else None
    return PriceAlarms(WatchRepository(engine), alerts, metrics)
