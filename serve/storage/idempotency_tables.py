"""The table of requests that came with an idempotency key, and of their answers."""

from typing import Final

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from serve.storage.tables import METADATA

IDEMPOTENCY_TABLE: Final = Table(
    "idempotent_request",
    METADATA,
    Column("account", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("claim_id", Text, nullable=False),
    Column("claimed_until_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    Column("status", Integer),
    Column("headers", JSON),
    Column("body", LargeBinary),
    Column("is_sealed", Boolean, nullable=False),
    PrimaryKeyConstraint("account", "idempotency_key", name="idempotent_request_pk"),
    Index("idempotent_request_expiry", "expires_at_us"),
)
"""One row for every key of an account, for a day.

While `status` is null the request is under way; its worker confirms this by `claimed_until_us`. If `status` is set and
`body` is null, the request was answered, but the answer could not be kept.
"""
