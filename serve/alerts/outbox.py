"""Alerts in one database: which thresholds were reached, and the outbox of alerts to be sent."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select, update
from sqlalchemy.dialects import postgresql, sqlite

from serve.money.budget import Nusd
from serve.storage.alert_tables import BUDGET_ALERT_TABLE
from serve.storage.database import SQLITE_BEGIN
from serve.storage.money_tables import BUDGET_RULE_TABLE, BUDGET_TABLE

_ALERT: Final = BUDGET_ALERT_TABLE.c
_BUDGET: Final = BUDGET_TABLE.c
_RULE: Final = BUDGET_RULE_TABLE.c
Threshold = tuple[str, str, int]
"""Scope, period, percent."""


@dataclass(frozen=True, slots=True)
class Spent:
    """How far a budget with a cap was spent in one month."""

    scope: str
    period: str
    spent_nusd: Nusd
    cap_nusd: Nusd
    time_zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert to be stored.

    Args:
        threshold: Threshold that was reached; each one is stored only once.
        webhook_id: Unique id, by which the receiver recognises a repetition.
        body: Body of the webhook, the same on every attempt.
    """

    threshold: Threshold
    webhook_id: str
    body: str


@dataclass(frozen=True, slots=True)
class DueAlert:
    """An alert to be sent now.

    Args:
        threshold: Threshold that was reached.
        webhook_id: Unique id of the alert.
        body: Body of the webhook.
        n_attempts: Number of attempts so far, this one included.
    """

    threshold: Threshold
    webhook_id: str
    body: str
    n_attempts: int


class AlertRepository:
    """Reads spending; stores alerts and the results of sending them. Every method is one transaction.

    Args:
        engine: SQLite or PostgreSQL.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def spent(self, periods: Collection[str], least_percent: int) -> list[Spent]:
        """Return the budgets of which about `least_percent` or more was spent in one of these months.

        They are ordered by scope and month. A cap of zero is left out, because it cannot be used up.
        """
        # Divided first: a large cap times a hundred is more than an int64 holds. The caller compares exactly.
        is_near = _BUDGET.spent_nusd >= _RULE.cap_nusd // 100 * least_percent
        query = (
            select(_BUDGET.scope, _BUDGET.period, _BUDGET.spent_nusd, _RULE.cap_nusd, _RULE.time_zone)
            .join(BUDGET_RULE_TABLE, _RULE.scope == _BUDGET.scope)
            .where(_BUDGET.period.in_(periods), _RULE.cap_nusd > 0, is_near)
            .order_by(_BUDGET.scope, _BUDGET.period)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [Spent(row.scope, row.period, row.spent_nusd, row.cap_nusd, ZoneInfo(row.time_zone)) for row in rows]

    def noticed(self, periods: Collection[str]) -> set[Threshold]:
        """Return the thresholds that already have an alert, sent or not."""
        query = select(_ALERT.scope, _ALERT.period, _ALERT.threshold_percent).where(_ALERT.period.in_(periods))
        with self._engine.connect() as connection:
            return {(row.scope, row.period, row.threshold_percent) for row in connection.execute(query)}

    def add(self, alerts: Iterable[NewAlert], now_us: int) -> int:
        """Store alerts that are due at once; return how many were new. Another worker may have stored the others."""
        n_added = 0
        with self._writing.begin() as connection:
            for alert in alerts:
                scope, period, percent = alert.threshold
                statement = self._insert(BUDGET_ALERT_TABLE).values(
                    scope=scope,
                    period=period,
                    threshold_percent=percent,
                    webhook_id=alert.webhook_id,
                    body=alert.body,
                    noticed_at_us=now_us,
                    n_attempts=0,
                    next_attempt_at_us=now_us,
                )
                fresh = statement.on_conflict_do_nothing(index_elements=["scope", "period", "threshold_percent"])
                n_added += len(connection.execute(fresh.returning(_ALERT.webhook_id)).all())
        return n_added

    def take_due(self, now_us: int, busy_until_us: int) -> DueAlert | None:
        """Take the alert that is due and was noticed first. No other worker gets it before `busy_until_us`.

        It is due again then, so that it is sent even if the worker that took it dies.
        """
        columns = (
            _ALERT.scope,
            _ALERT.period,
            _ALERT.threshold_percent,
            _ALERT.webhook_id,
            _ALERT.body,
            _ALERT.n_attempts,
        )
        first = (
            select(*columns)
            .where(_ALERT.next_attempt_at_us <= now_us)
            .order_by(_ALERT.noticed_at_us, _ALERT.scope, _ALERT.threshold_percent)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._writing.begin() as connection:
            row = connection.execute(first).first()
            if row is None:
                return None
            n_attempts = row.n_attempts + 1
            taken = update(BUDGET_ALERT_TABLE).where(_ALERT.webhook_id == row.webhook_id)
            connection.execute(taken.values(next_attempt_at_us=busy_until_us, n_attempts=n_attempts))
        return DueAlert((row.scope, row.period, row.threshold_percent), row.webhook_id, row.body, n_attempts)

    def note_delivered(self, webhook_id: str, now_us: int) -> None:
        """Store that an alert was delivered."""
        self._finish(webhook_id, delivered_at_us=now_us, next_attempt_at_us=None)

    def try_again_at(self, webhook_id: str, at_us: int | None) -> None:
        """Store when an alert that was not delivered is due again; None: it is given up."""
        self._finish(webhook_id, next_attempt_at_us=at_us)

    def _finish(self, webhook_id: str, **values: int | None) -> None:
        # A delivered alert stays delivered, even if a slow worker learns only now that its own attempt failed.
        open_one = update(BUDGET_ALERT_TABLE).where(_ALERT.webhook_id == webhook_id, _ALERT.delivered_at_us.is_(None))
        with self._writing.begin() as connection:
            connection.execute(open_one.values(**values))
