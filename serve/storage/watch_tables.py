"""The tables of the watch: what it has learned, and its alarms."""

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Index, PrimaryKeyConstraint, Table, Text

from serve.storage.tables import METADATA

WATCH_STATE_TABLE: Final = Table(
    "watch_state",
    METADATA,
    Column("kind", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("router_version", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("kind", "account", "router_version", name="watch_state_pk"),
)
"""The state that workers share, as JSON, by kind:

- `feedback`: how far feedback was read.
- `lanes`: what was learned of an account's lanes under a bundle.
- `prices`: prices of an account's lanes.
- `price_table`: problems of a table of prices that was kept aside.
- `prompts`: how an account's prompts changed.

A write succeeds only with the next `revision`.
"""

WATCH_ALARM_TABLE: Final = Table(
    "watch_alarm",
    METADATA,
    Column("account", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("rang_at_us", BigInteger, nullable=False),
    Column("measure", Double, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("message", Text, nullable=False),
    PrimaryKeyConstraint("account", "kind", "subject", "rang_at_us", name="watch_alarm_pk"),
    Index("watch_alarm_rang_at", "account", "rang_at_us"),
)
"""One row for every alarm. A webhook is sent at most once a day for each subject."""
