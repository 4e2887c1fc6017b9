"""The tables of accounts, people, issued keys, provider keys and the audit log. No column holds a key in the clear."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from serve.storage.tables import METADATA

ACCOUNT_TABLE: Final = Table(
    "account",
    METADATA,
    Column("account", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("hosted_lanes", Text, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("logged_content", Text),
    PrimaryKeyConstraint("account", name="account_pk"),
)
"""An account shares keys, budgets and logs. `account` is its short name, as in the scopes of budgets."""

PERSON_TABLE: Final = Table(
    "person",
    METADATA,
    Column("email", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("email", name="person_pk"),
)
"""People who sign in. E-mail addresses are kept in lower case."""

MEMBER_TABLE: Final = Table(
    "member",
    METADATA,
    Column("account", Text, ForeignKey("account.account", name="member_account"), nullable=False),
    Column("email", Text, ForeignKey("person.email", name="member_person"), nullable=False),
    Column("role", Text, nullable=False),
    Column("joined_at_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "email", name="member_pk"),
)
"""The role of each person in each account."""

SESSION_TABLE: Final = Table(
    "session",
    METADATA,
    Column("digest", LargeBinary, nullable=False),
    Column("email", Text, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("digest", name="session_pk"),
    Index("session_of_person", "email"),
)
"""Signed-in browsers, by a hash of their cookie."""

VIRTUAL_KEY_TABLE: Final = Table(
    "virtual_key",
    METADATA,
    Column("account", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("lanes", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("expires_at_us", BigInteger),
    Column("created_at_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked_at_us", BigInteger),
    Column("last_used_at_us", BigInteger),
    PrimaryKeyConstraint("account", "name", name="virtual_key_pk"),
)
"""The keys that the gateway issues. `shown` is the beginning and the end of the newest secret, so that people can
recognise a key."""

VIRTUAL_KEY_SECRET_TABLE: Final = Table(
    "virtual_key_secret",
    METADATA,
    Column("digest", LargeBinary, nullable=False),
    Column("account", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("expires_at_us", BigInteger),
    PrimaryKeyConstraint("digest", name="virtual_key_secret_pk"),
    Index("virtual_key_secret_of_key", "account", "name"),
)
"""The accepted secrets of a virtual key, as HMAC-SHA256; more than one while the key is rotated."""

PROVIDER_KEY_TABLE: Final = Table(
    "provider_key",
    METADATA,
    Column("account", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("last_four", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("organisation", Text),
    Column("base_url", Text),
    Column("region", Text),
    Column("is_enabled", Boolean, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("tested_at_us", BigInteger),
    Column("test_outcome", Text),
    PrimaryKeyConstraint("account", "provider", "name", name="provider_key_pk"),
)
"""Keys at providers, sealed by the vault. Keys of one `organisation` share its rate limits."""

DATA_KEY_TABLE: Final = Table(
    "data_key",
    METADATA,
    Column("account", Text, nullable=False),
    Column("key_id", LargeBinary, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", name="data_key_pk"),
    UniqueConstraint("key_id", name="data_key_id"),
)
"""The key that seals an account's secrets, wrapped by the master key. Without it they can never be opened again."""

AUDIT_TABLE: Final = Table(
    "audit_entry",
    METADATA,
    Column("number", Integer, nullable=False, autoincrement=True),
    Column("at_us", BigInteger, nullable=False),
    Column("account", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", JSON, nullable=False),
    PrimaryKeyConstraint("number", name="audit_entry_pk"),
    Index("audit_entry_of_account", "account", "number"),
)
"""Who changed what. Rows are added and never changed. They hold no secret."""

CHOSEN_POLICY_TABLE: Final = Table(
    "chosen_policy",
    METADATA,
    Column("singleton", Integer, nullable=False),
    Column("policy", Text, nullable=False),
    Column("number", Double, nullable=False),
    PrimaryKeyConstraint("singleton", name="chosen_policy_pk"),
    CheckConstraint("singleton = 1", name="chosen_policy_singleton"),
)
"""The policy of smart-route that the operator chose while the gateway ran; without a row, the settings decide."""

IDENTITY_VERSION_TABLE: Final = Table(
    "identity_version",
    METADATA,
    Column("singleton", Integer, nullable=False),
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("singleton", name="identity_version_pk"),
    CheckConstraint("singleton = 1", name="identity_version_singleton"),
)
"""A number that grows with every change of the tables above, so that workers notice a change with one small query."""
