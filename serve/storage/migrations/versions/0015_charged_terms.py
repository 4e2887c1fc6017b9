"""Columns of an attempt's service tier, its searches of the web and the effort that its request stated."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("attempt", sa.Column("service_tier", sa.Text))
    op.add_column("attempt", sa.Column("web_searches", sa.BigInteger))
    op.add_column("attempt", sa.Column("stated_effort", sa.Text))
