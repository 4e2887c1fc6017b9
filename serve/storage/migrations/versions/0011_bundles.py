"""Tables of bundles: the history of their stages, and the decisions of shadows."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the tables and the index."""
    op.create_table(
        "bundle_stage",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("share", sa.Double, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("verdict", sa.JSON),
        sa.PrimaryKeyConstraint("number", name="bundle_stage_pk"),
    )
    op.create_table(
        "shadow_decision",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("router_version", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("champion_version", sa.Text, nullable=False),
        sa.Column("champion_lane_id", sa.Text, nullable=False),
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("is_agreed", sa.Boolean, nullable=False),
        sa.Column("champion_quality", sa.Double, nullable=False),
        sa.Column("champion_cost_usd", sa.Double, nullable=False),
        sa.Column("quality", sa.Double, nullable=False),
        sa.Column("cost_usd", sa.Double, nullable=False),
        sa.Column("quality_of_champions_lane", sa.Double, nullable=False),
        sa.Column("decision_us", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "router_version", name="shadow_decision_pk"),
    )
    op.create_index("shadow_decision_of_version", "shadow_decision", ["router_version", "at_us"])
