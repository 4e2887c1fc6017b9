"""Tables of budgets, leases and the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the five tables and the index."""
    op.create_table(
        "budget_rule",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("cap_nusd", sa.BigInteger, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("is_from_settings", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("scope", name="budget_rule_pk"),
        sa.CheckConstraint("cap_nusd >= 0", name="budget_rule_cap"),
    )
    op.create_table(
        "budget",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("spent_nusd", sa.BigInteger, nullable=False),
        sa.Column("leased_nusd", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope", "period", name="budget_pk"),
        sa.CheckConstraint("spent_nusd >= 0 AND leased_nusd >= 0", name="budget_amounts"),
    )
    op.create_table(
        "budget_lease",
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("remaining_nusd", sa.BigInteger, nullable=False),
        sa.Column("renewed_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("worker_id", "scope", "period", name="budget_lease_pk"),
        sa.CheckConstraint("remaining_nusd >= 0", name="budget_lease_amount"),
    )
    op.create_table(
        "budget_write_off",
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("charge_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("worker_id", "scope", "period", name="budget_write_off_pk"),
    )
    op.create_table(
        "ledger_entry",
        sa.Column("charge_id", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("amount_nusd", sa.BigInteger, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("is_estimated", sa.Boolean, nullable=False),
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("price_snapshot_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("charge_id", "scope", name="ledger_entry_pk"),
        sa.CheckConstraint("amount_nusd >= 0", name="ledger_entry_amount"),
    )
    op.create_index("ledger_entry_of_period", "ledger_entry", ["scope", "period", "at_us"])
