"""The table of budget alerts: what was noticed, and the outbox of webhooks."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, UniqueConstraint

from serve.storage.tables import METADATA

BUDGET_ALERT_TABLE: Final = Table(
    "budget_alert",
    METADATA,
    Column("scope", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("threshold_percent", Integer, nullable=False),
    Column("webhook_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("noticed_at_us", BigInteger, nullable=False),
    Column("n_attempts", Integer, nullable=False),
    Column("next_attempt_at_us", BigInteger),
    Column("delivered_at_us", BigInteger),
    PrimaryKeyConstraint("scope", "period", "threshold_percent", name="budget_alert_pk"),
    UniqueConstraint("webhook_id", name="budget_alert_webhook"),
    Index("budget_alert_due", "next_attempt_at_us"),
)
"""One row for every threshold that a budget reached in a month. The primary key makes many workers send it once.

`next_attempt_at_us` is null when nothing is left to send. If `delivered_at_us` is null too, the webhook was given up.
"""
