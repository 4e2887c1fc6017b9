"""Table of the policy of smart-route that the operator chose while the gateway ran."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "chosen_policy",
        sa.Column("singleton", sa.Integer, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("number", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("singleton", name="chosen_policy_pk"),
        sa.CheckConstraint("singleton = 1", name="chosen_policy_singleton"),
    )
