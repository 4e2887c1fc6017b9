"""Tables and columns for version 2 of the telemetry export.

They hold what callers asked for, lanes with their prices, how much accounts let be logged, and what they had deleted.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns, null for the rows that exist, and make the two tables."""
    op.add_column("attempt", sa.Column("quality_of_best", sa.Double))
    op.add_column("attempt", sa.Column("max_output_tokens", sa.Integer))
    op.add_column("account", sa.Column("logged_content", sa.Text))
    op.create_table(
        "priced_lane",
        sa.Column("price_snapshot_id", sa.Text, nullable=False),
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("upstream_model", sa.Text, nullable=False),
        sa.Column("vendor_model", sa.Text, nullable=False),
        sa.Column("trained_name", sa.Text),
        sa.Column("region", sa.Text),
        sa.Column("input_usd_per_mtok", sa.Double, nullable=False),
        sa.Column("output_usd_per_mtok", sa.Double, nullable=False),
        sa.Column("cached_input_usd_per_mtok", sa.Double),
        sa.Column("request_usd", sa.Double, nullable=False),
        sa.Column("context_tokens", sa.BigInteger),
        sa.Column("ability", sa.Double),
        sa.Column("ability_std", sa.Double),
        sa.Column("noted_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("price_snapshot_id", "lane_id", name="priced_lane_pk"),
    )
    op.create_table(
        "forgotten_content",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.Column("kept", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("account", "until_us", name="forgotten_content_pk"),
    )
