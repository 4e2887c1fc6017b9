"""Puts alarms of the watch into the outbox of the alerts, from which they are told as budgets are: signed, with retries, once."""

import secrets
from collections.abc import Iterable
from typing import Final

import msgspec

from serve.alerts.outbox import AlertRepository, NewAlert
from serve.alerts.watch_repository import Alarm
from serve.instant import from_microseconds

WATCH_SCOPE: Final = "watch"
"""Begins the scope of an alarm in the outbox, where a budget's alert has the scope of its budget."""


class WatchAlerts:
    """Tells of alarms, each subject at most once a day.

    Args:
        repository: The outbox.
    """

    def __init__(self, repository: AlertRepository) -> None:
        self._repository = repository

    def tell(self, alarms: Iterable[Alarm], now_us: int) -> None:
        """Put alarms into the outbox; those of a subject of which it was told today are left out."""
        self._repository.add([_alert(alarm) for alarm in alarms], now_us)


def _alert(alarm: Alarm) -> NewAlert:
    rang_at = from_microseconds(alarm.rang_at_us)
    data = {
        "account": alarm.account,
        "kind": alarm.kind,
        "subject": alarm.subject,
        "measure": alarm.measure,
        "threshold": alarm.threshold,
        "message": alarm.message,
    }
    told = {"type": "watch.alarm", "timestamp": f"{rang_at:%Y-%m-%dT%H:%M:%SZ}", "data": data}
    scope = f"{WATCH_SCOPE}:{alarm.account}:{alarm.kind}:{alarm.subject}"
    body = msgspec.json.encode(told).decode()
    return NewAlert((scope, f"{rang_at:%Y-%m-%d}", 0), f"msg_{secrets.token_hex(12)}", body)
