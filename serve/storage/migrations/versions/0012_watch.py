"""Tables of the watch: what it learned, and its alarms."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables and the index."""
    op.create_table(
        "watch_state",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("router_version", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("kind", "account", "router_version", name="watch_state_pk"),
    )
    op.create_table(
        "watch_alarm",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("rang_at_us", sa.BigInteger, nullable=False),
        sa.Column("measure", sa.Double, nullable=False),
        sa.Column("threshold", sa.Double, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("account", "kind", "subject", "rang_at_us", name="watch_alarm_pk"),
    )
    op.create_index("watch_alarm_rang_at", "watch_alarm", ["account", "rang_at_us"])
