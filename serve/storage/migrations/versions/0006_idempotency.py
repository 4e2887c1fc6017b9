"""Table of idempotent requests and their answers."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table and its index."""
    op.create_table(
        "idempotent_request",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("claim_id", sa.Text, nullable=False),
        sa.Column("claimed_until_us", sa.BigInteger, nullable=False),
        sa.Column("expires_at_us", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", sa.JSON),
        sa.Column("body", sa.LargeBinary),
        sa.Column("is_sealed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("account", "idempotency_key", name="idempotent_request_pk"),
    )
    op.create_index("idempotent_request_expiry", "idempotent_request", ["expires_at_us"])
