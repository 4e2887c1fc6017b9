"""Tables of attempts, of the lane lists they refer to, and of feedback."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the three tables and their indexes."""
    op.create_table(
        "attempt",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("started_at_us", sa.BigInteger, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("virtual_key_id", sa.Text),
        sa.Column("conversation_id", sa.Text),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("is_streaming", sa.Boolean, nullable=False),
        sa.Column("prompt_characters", sa.BigInteger, nullable=False),
        sa.Column("n_turns", sa.Integer, nullable=False),
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("upstream_model", sa.Text, nullable=False),
        sa.Column("vendor_model", sa.Text, nullable=False),
        sa.Column("region", sa.Text),
        sa.Column("propensity", sa.Double),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("policy", sa.Text),
        sa.Column("router_version", sa.Text),
        sa.Column("price_snapshot_id", sa.Text),
        sa.Column("quality_bar", sa.Double),
        sa.Column("willingness_to_pay_usd", sa.Double),
        sa.Column("prompt_tokens", sa.BigInteger),
        sa.Column("completion_tokens", sa.BigInteger),
        sa.Column("cached_tokens", sa.BigInteger),
        sa.Column("cache_write_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("usage_is_estimated", sa.Boolean, nullable=False),
        sa.Column("cost_nusd", sa.BigInteger),
        sa.Column("ttft_ms", sa.Double),
        sa.Column("total_ms", sa.Double),
        sa.Column("overhead_ms", sa.Double),
        sa.Column("status", sa.Integer),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("finish_reason", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("upstream_request_id", sa.Text),
        sa.Column("features_version", sa.Integer),
        sa.Column("features", sa.LargeBinary),
        sa.Column("lane_list_id", sa.Text),
        sa.Column("candidates", sa.LargeBinary),
        sa.Column("prompt_text", sa.LargeBinary),
        sa.Column("answer_text", sa.LargeBinary),
        sa.PrimaryKeyConstraint("request_id", "attempt", name="attempt_pk"),
    )
    op.create_index("attempt_started_at", "attempt", ["started_at_us"])
    op.create_table(
        "lane_list",
        sa.Column("lane_list_id", sa.Text, nullable=False),
        sa.Column("lane_ids", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("lane_list_id", name="lane_list_pk"),
    )
    op.create_table(
        "feedback",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("metric_name", sa.Text, nullable=False),
        sa.Column("given_by", sa.Text, nullable=False),
        sa.Column("received_at_us", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("comment", sa.LargeBinary),
        sa.PrimaryKeyConstraint("request_id", "metric_name", "given_by", "received_at_us", name="feedback_pk"),
    )
    op.create_index("feedback_received_at", "feedback", ["received_at_us"])
