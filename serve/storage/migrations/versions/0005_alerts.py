"""Table of budget alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table and its index."""
    op.create_table(
        "budget_alert",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("threshold_percent", sa.Integer, nullable=False),
        sa.Column("webhook_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("noticed_at_us", sa.BigInteger, nullable=False),
        sa.Column("n_attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at_us", sa.BigInteger),
        sa.Column("delivered_at_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("scope", "period", "threshold_percent", name="budget_alert_pk"),
        sa.UniqueConstraint("webhook_id", name="budget_alert_webhook"),
    )
    op.create_index("budget_alert_due", "budget_alert", ["next_attempt_at_us"])
