"""Notices that a budget has reached a threshold, and tells the operator once, also if several workers notice it."""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy.exc import DBAPIError

from router.price_table import format_usd
from serve.alerts.outbox import AlertRepository, DueAlert, NewAlert, Spent
from serve.alerts.watch_alerts import WATCH_SCOPE
from serve.alerts.webhook import WebhookTarget, send_webhook
from serve.clock import Clock
from serve.instant import to_microseconds
from serve.metrics import Metrics
from serve.money.budget import ScopePeriod
from serve.money.period import Period, month_of
from serve.money.scopes import owner_of
from serve.upstream.transport import UpstreamTransport

_log = logging.getLogger("llmdeal.alerts")
_FULL: Final = 100
# A budget is never overspent, so a request is refused before the last cent is gone. From this share on, a refusal
# means that the budget is used up.
_REFUSED_FROM_PERCENT: Final = 80
# A charge that is settled in the first minutes of a month may belong to the month before.
_LATE: Final = timedelta(minutes=10)
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AlertTimes:
    """How often budgets are checked, and how alerts are retried; times in seconds.

    Args:
        check_s: Pause between two checks.
        busy_s: Time after which an alert that a worker took, but did not finish, is due again.
        first_retry_s: Pause after the first failed attempt. Each further pause is four times as long, less up to half
            of it by chance.
        longest_retry_s: Upper limit of the pause.
        most_attempts: Number of attempts after which an alert is given up, after about a day and a half.
    """

    check_s: float = 2.0
    busy_s: float = 60.0
    first_retry_s: float = 5.0
    longest_retry_s: float = 6 * 3_600.0
    most_attempts: int = 12

    def pause_s(self, n_attempts: int, jitter: float) -> float:
        """Return the pause after so many attempts; `jitter` is in [0, 1)."""
        longest = min(self.first_retry_s * 4.0 ** (n_attempts - 1), self.longest_retry_s)
        return longest * (1 - jitter / 2)


class BudgetAlerts:
    """Sends alerts about thresholds. Each worker has one of these; all share one outbox.

    Args:
        repository: Spending, and the outbox.
        take_refused: Function that returns the budgets that refused this worker since the last call.
        target: Target of the webhooks.
        thresholds: Thresholds in percent of a budget, 1 to 100.
        clock: Time.
        transport: Connections for the webhooks; closed by `close`.
        metrics: Counters; attempts are counted there by outcome.
        jitter: Function that returns a random number in [0, 1).
        times: Pauses and limits; None: the default ones.
    """

    def __init__(
        self,
        repository: AlertRepository,
        take_refused: Callable[[], Collection[ScopePeriod]],
        target: WebhookTarget,
        thresholds: Collection[int],
        clock: Clock,
        transport: UpstreamTransport,
        metrics: Metrics,
        jitter: Callable[[], float] = random.random,
        times: AlertTimes | None = None,
    ) -> None:
        self._repository = repository
        self._take_refused = take_refused
        self._target = target
        self._thresholds = sorted(set(thresholds))
        self._clock = clock
        self._transport = transport
        self._metrics = metrics
        self._jitter = jitter
        self._times = times or AlertTimes()

    async def follow(self) -> None:
        """Check budgets and send alerts again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._times.check_s)
            try:
                await self.check()
                await self.deliver()
            except DBAPIError as error:
                _log.error("the database of the alerts is away: %s", type(error.orig).__name__)

    async def check(self) -> None:
        """Put alerts for newly reached thresholds into the outbox."""
        refused = set(self._take_refused())
        await asyncio.to_thread(self._notice, self._clock.now(), refused)

    async def deliver(self) -> None:
        """Send the alerts that are due."""
        while True:
            now_us = to_microseconds(self._clock.now())
            busy_until_us = now_us + round(self._times.busy_s * 1e6)
            due = await asyncio.to_thread(self._repository.take_due, now_us, busy_until_us)
            if due is None:
                return
            await self._send(due)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    def _notice(self, now: datetime, refused: Collection[ScopePeriod]) -> None:
        periods = sorted({f"{day:%Y-%m}" for day in (now - _ONE_DAY, now, now + _ONE_DAY)})  # in every time zone
        least = min(self._thresholds[0], _REFUSED_FROM_PERCENT)
        states = self._repository.spent(periods, least)
        if not states:
            return
        noticed = self._repository.noticed(periods)
        fresh = [
            alert
            for state in states
            for alert in self._alerts_of(state, now, refused)
            if alert.threshold not in noticed
        ]
        if fresh:
            self._repository.add(fresh, to_microseconds(now))

    def _alerts_of(self, state: Spent, now: datetime, refused: Collection[ScopePeriod]) -> Iterator[NewAlert]:
        """Yield the alerts of all thresholds that a budget has reached, the lowest first."""
        months = {
            month.name: month for month in (month_of(now, state.time_zone), month_of(now - _LATE, state.time_zone))
        }
        month = months.get(state.period)
        if month is None:
            return
        is_used_up = (state.scope, state.period) in refused and _is_spent(state, _REFUSED_FROM_PERCENT)
        for percent in self._thresholds:
            if _is_spent(state, percent) or (percent == _FULL and is_used_up):
                webhook_id = f"msg_{secrets.token_hex(12)}"
                yield NewAlert((state.scope, state.period, percent), webhook_id, _body(state, month, percent, now))

    async def _send(self, due: DueAlert) -> None:
        scope, period, percent = due.threshold
        problem = await send_webhook(
            self._transport, self._target, due.webhook_id, due.body.encode(), self._clock.now()
        )
        now_us = to_microseconds(self._clock.now())
        if problem is None:
            await asyncio.to_thread(self._repository.note_delivered, due.webhook_id, now_us)
            self._metrics.note_alert("delivered")
            return
        what = f"{percent}% of {scope} is spent in {period}"
        what = f"{scope} rang on {period}" if scope.startswith(f"{WATCH_SCOPE}:") else what
        attempt = (what, self._target.shown, problem)
        if due.n_attempts >= self._times.most_attempts:
            await asyncio.to_thread(self._repository.try_again_at, due.webhook_id, None)
            self._metrics.note_alert("given_up")
            _log.error("the alert that %s is given up: %s: %s", *attempt)
            return
        pause_s = self._times.pause_s(due.n_attempts, self._jitter())
        await asyncio.to_thread(self._repository.try_again_at, due.webhook_id, now_us + round(pause_s * 1e6))
        self._metrics.note_alert("failed")
        _log.warning("the alert that %s was not taken by %s: %s; again in %.0f s", *attempt, pause_s)


def _is_spent(state: Spent, percent: int) -> bool:
    return state.spent_nusd * _FULL >= state.cap_nusd * percent


def _body(state: Spent, month: Period, percent: int, now: datetime) -> str:
    """Return the body in the form that Standard Webhooks recommends: `type`, `timestamp`, `data`."""
    data = {
        "account": owner_of(state.scope),
        "scope": state.scope,
        "threshold": percent,
        "spent_usd": format_usd(state.spent_nusd),
        "cap_usd": format_usd(state.cap_nusd),
        "period": state.period,
        "resets_at": f"{month.ends_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    payload = {"type": "budget.threshold_reached", "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}", "data": data}
    return msgspec.json.encode(payload).decode()
