"""Column of the effort of reasoning that a lane sets."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column."""
    op.add_column("priced_lane", sa.Column("effort", sa.Text))
