"""Tables of accounts, people, issued keys, provider keys and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the ten tables and their indexes."""
    op.create_table(
        "account",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("hosted_lanes", sa.Text, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", name="account_pk"),
    )
    op.create_table(
        "person",
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("email", name="person_pk"),
    )
    op.create_table(
        "member",
        sa.Column("account", sa.Text, sa.ForeignKey("account.account", name="member_account"), nullable=False),
        sa.Column("email", sa.Text, sa.ForeignKey("person.email", name="member_person"), nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("joined_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", "email", name="member_pk"),
    )
    op.create_table(
        "session",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("expires_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="session_pk"),
    )
    op.create_index("session_of_person", "session", ["email"])
    op.create_table(
        "virtual_key",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("lanes", sa.JSON, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger),
        sa.Column("tokens_per_minute", sa.BigInteger),
        sa.Column("expires_at_us", sa.BigInteger),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("revoked_at_us", sa.BigInteger),
        sa.Column("last_used_at_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("account", "name", name="virtual_key_pk"),
    )
    op.create_table(
        "virtual_key_secret",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("expires_at_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("digest", name="virtual_key_secret_pk"),
    )
    op.create_index("virtual_key_secret_of_key", "virtual_key_secret", ["account", "name"])
    op.create_table(
        "provider_key",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("last_four", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text),
        sa.Column("base_url", sa.Text),
        sa.Column("region", sa.Text),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("tested_at_us", sa.BigInteger),
        sa.Column("test_outcome", sa.Text),
        sa.PrimaryKeyConstraint("account", "provider", "name", name="provider_key_pk"),
    )
    op.create_table(
        "data_key",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("key_id", sa.LargeBinary, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", name="data_key_pk"),
        sa.UniqueConstraint("key_id", name="data_key_id"),
    )
    op.create_table(
        "audit_entry",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("number", name="audit_entry_pk"),
    )
    op.create_index("audit_entry_of_account", "audit_entry", ["account", "number"])
    op.create_table(
        "identity_version",
        sa.Column("singleton", sa.Integer, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("singleton", name="identity_version_pk"),
        sa.CheckConstraint("singleton = 1", name="identity_version_singleton"),
    )
