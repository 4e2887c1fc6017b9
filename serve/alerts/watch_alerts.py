"""Puts alarms of the watch into the outbox of the alerts, so that they are sent as budget alerts are."""

import secrets
from collections.abc import Iterable
from typing import Final

import msgspec

from serve.alerts.outbox import AlertRepository, NewAlert
from serve.alerts.watch_repository import Alarm
from serve.instant import from_microseconds

WATCH_SCOPE: Final = "watch"
"""Beginning of an alarm's scope in the outbox; the scope of a budget alert is the one of its budget."""


class WatchAlerts:
    """Sends alarms, at most one a day for each subject.

    Args:
        repository: Outbox of the alerts.
    """

    def __init__(self, repository: AlertRepository) -> None:
        self._repository = repository

    def tell(self, alarms: Iterable[Alarm], now_us: int) -> None:
        """Put alarms into the outbox, except those of a subject that has one of today."""
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
    payload = {"type": "watch.alarm", "timestamp": f"{rang_at:%Y-%m-%dT%H:%M:%SZ}", "data": data}
    scope = f"{WATCH_SCOPE}:{alarm.account}:{alarm.kind}:{alarm.subject}"
    body = msgspec.json.encode(payload).decode()
    return NewAlert((scope, f"{rang_at:%Y-%m-%d}", 0), f"msg_{secrets.token_hex(12)}", body)
