"""Table of what exploration was expected to cost in each month."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "exploration_month",
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("taken_nusd", sa.BigInteger, nullable=False),
        sa.Column("spent_nusd", sa.BigInteger, nullable=False),
        sa.Column("n_explored", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("period", name="exploration_month_pk"),
        sa.CheckConstraint("taken_nusd >= 0 AND spent_nusd >= 0 AND n_explored >= 0", name="exploration_month_amounts"),
    )
