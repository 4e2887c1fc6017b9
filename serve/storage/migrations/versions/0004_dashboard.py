"""Indexes with which the dashboard reads attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_FAILED = sa.text("outcome <> 'ok'")


def upgrade() -> None:
    """Make the six indexes."""
    op.create_index(
        "attempt_of_account",
        "attempt",
        ["account", "started_at_us", "request_id", "attempt", "lane_id", "outcome", "cost_nusd"],
    )
    op.create_index("attempt_of_lane", "attempt", ["account", "lane_id", "started_at_us", "request_id"])
    op.create_index("attempt_of_model", "attempt", ["account", "vendor_model", "started_at_us", "request_id"])
    op.create_index("attempt_of_virtual_key", "attempt", ["account", "virtual_key_id", "started_at_us", "request_id"])
    op.create_index(
        "attempt_not_ok",
        "attempt",
        ["account", "outcome", "started_at_us", "request_id"],
        sqlite_where=_FAILED,
        postgresql_where=_FAILED,
    )
    op.create_index(
        "attempt_tagged",
        "attempt",
        ["account", "started_at_us", "request_id"],
        sqlite_where=sa.text("tags <> '[]'"),
        postgresql_where=sa.text("CAST(tags AS TEXT) <> '[]'"),
    )
