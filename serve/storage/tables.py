"""The telemetry tables as SQLAlchemy core tables that SQLite and PostgreSQL both take.

Instants are integer microseconds since 1970 UTC: exact, quick to compare, and independent of any database's time zones.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

METADATA: Final = MetaData()

ATTEMPT_TABLE: Final = Table(
    "attempt",
    METADATA,
    Column("request_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at_us", BigInteger, nullable=False),
    Column("account", Text, nullable=False),
    Column("virtual_key_id", Text),
    Column("conversation_id", Text),
    Column("tags", JSON, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("is_streaming", Boolean, nullable=False),
    Column("prompt_characters", BigInteger, nullable=False),
    Column("n_turns", Integer, nullable=False),
    Column("lane_id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("upstream_model", Text, nullable=False),
    Column("vendor_model", Text, nullable=False),
    Column("region", Text),
    Column("propensity", Double),
    Column("reason", Text, nullable=False),
    Column("policy", Text),
    Column("router_version", Text),
    Column("price_snapshot_id", Text),
    Column("quality_bar", Double),
    Column("willingness_to_pay_usd", Double),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("cache_write_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("usage_is_estimated", Boolean, nullable=False),
    Column("cost_nusd", BigInteger),
    Column("ttft_ms", Double),
    Column("total_ms", Double),
    Column("overhead_ms", Double),
    Column("status", Integer),
    Column("outcome", Text, nullable=False),
    Column("finish_reason", Text),
    Column("error_code", Text),
    Column("upstream_request_id", Text),
    Column("features_version", Integer),
    # Blobs come last: SQLite reads a row's columns in order, and needs no overflow pages for the columns above.
    Column("features", LargeBinary),
    Column("lane_list_id", Text),
    Column("candidates", LargeBinary),
    Column("prompt_text", LargeBinary),
    Column("answer_text", LargeBinary),
    # Added later: a migration adds columns at the end, and a new table has the same order.
    Column("quality_of_best", Double),
    Column("max_output_tokens", Integer),
    Column("service_tier", Text),
    Column("web_searches", BigInteger),
    Column("stated_effort", Text),
    PrimaryKeyConstraint("request_id", "attempt", name="attempt_pk"),
    Index("attempt_started_at", "started_at_us"),
    # For the dashboard. The first index holds all that its sums need, so a month is added up without reading a row.
    Index("attempt_of_account", "account", "started_at_us", "request_id", "attempt", "lane_id", "outcome", "cost_nusd"),
    Index("attempt_of_lane", "account", "lane_id", "started_at_us", "request_id"),
    Index("attempt_of_model", "account", "vendor_model", "started_at_us", "request_id"),
    Index("attempt_of_virtual_key", "account", "virtual_key_id", "started_at_us", "request_id"),
    # For feedback on a conversation, and its last answer.
    Index("attempt_of_conversation", "conversation_id", "started_at_us"),
    Index(
        "attempt_not_ok",
        "account",
        "outcome",
        "started_at_us",
        "request_id",
        sqlite_where=text("outcome <> 'ok'"),
        postgresql_where=text("outcome <> 'ok'"),
    ),
    Index(
        "attempt_tagged",
        "account",
        "started_at_us",
        "request_id",
        sqlite_where=text("tags <> '[]'"),
        postgresql_where=text("CAST(tags AS TEXT) <> '[]'"),
    ),
)
"""One row per upstream attempt. Texts are UTF-8 blobs: a prompt may contain NUL, which PostgreSQL's text refuses."""

LANE_LIST_TABLE: Final = Table(
    "lane_list",
    METADATA,
    Column("lane_list_id", Text, nullable=False),
    Column("lane_ids", JSON, nullable=False),
    PrimaryKeyConstraint("lane_list_id", name="lane_list_pk"),
)
"""The lanes that decisions looked at. Thousands of requests share a list; it is stored once, because it is large."""

PRICED_LANE_TABLE: Final = Table(
    "priced_lane",
    METADATA,
    Column("price_snapshot_id", Text, nullable=False),
    Column("lane_id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("upstream_model", Text, nullable=False),
    Column("vendor_model", Text, nullable=False),
    Column("trained_name", Text),
    Column("region", Text),
    Column("input_usd_per_mtok", Double, nullable=False),
    Column("output_usd_per_mtok", Double, nullable=False),
    Column("cached_input_usd_per_mtok", Double),
    Column("request_usd", Double, nullable=False),
    Column("context_tokens", BigInteger),
    Column("ability", Double),
    Column("ability_std", Double),
    Column("noted_at_us", BigInteger, nullable=False),
    Column("effort", Text),
    PrimaryKeyConstraint("price_snapshot_id", "lane_id", name="priced_lane_pk"),
)
"""Each lane at each price table that attempts name; written when lanes or prices change."""

FORGOTTEN_TABLE: Final = Table(
    "forgotten_content",
    METADATA,
    Column("account", Text, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("kept", Text, nullable=False),
    PrimaryKeyConstraint("account", "until_us", name="forgotten_content_pk"),
)
"""Accounts that had telemetry deleted: up to which moment, and whether no content was kept (`none`) or nothing at all
(`nothing`)."""

FEEDBACK_TABLE: Final = Table(
    "feedback",
    METADATA,
    Column("request_id", Text, nullable=False),
    Column("metric_name", Text, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("received_at_us", BigInteger, nullable=False),
    Column("value", Double, nullable=False),
    Column("comment", LargeBinary),
    PrimaryKeyConstraint("request_id", "metric_name", "given_by", "received_at_us", name="feedback_pk"),
    Index("feedback_received_at", "received_at_us"),
    # For the dashboard, which shows thumbs. Most feedback comes from automatic checks and says that all is well.
    Index(
        "feedback_thumbs",
        "received_at_us",
        sqlite_where=text("metric_name = 'thumbs'"),
        postgresql_where=text("metric_name = 'thumbs'"),
    ),
)
"""One row per piece of feedback. Its request may come later: feedback can be stored before the batch of the attempt."""
