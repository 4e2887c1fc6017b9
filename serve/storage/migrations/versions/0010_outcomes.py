"""Indexes with which a conversation's answers are found, and thumbs among the feedback of checks."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_IS_THUMB = sa.text("metric_name = 'thumbs'")


def upgrade() -> None:
    """Make the two indexes."""
    op.create_index("attempt_of_conversation", "attempt", ["conversation_id", "started_at_us"])
    op.create_index(
        "feedback_thumbs", "feedback", ["received_at_us"], sqlite_where=_IS_THUMB, postgresql_where=_IS_THUMB
    )
