"""The tables of budgets and of the ledger. Money is integer nano-dollars, never a float."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, PrimaryKeyConstraint, Table, Text

from serve.storage.tables import METADATA

BUDGET_RULE_TABLE: Final = Table(
    "budget_rule",
    METADATA,
    Column("scope", Text, nullable=False),
    Column("cap_nusd", BigInteger, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("is_from_settings", Boolean, nullable=False),
    PrimaryKeyConstraint("scope", name="budget_rule_pk"),
    CheckConstraint("cap_nusd >= 0", name="budget_rule_cap"),
)
"""The most that a scope may spend in a month; a scope without a row has no limit."""

BUDGET_TABLE: Final = Table(
    "budget",
    METADATA,
    Column("scope", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("spent_nusd", BigInteger, nullable=False),
    Column("leased_nusd", BigInteger, nullable=False),
    PrimaryKeyConstraint("scope", "period", name="budget_pk"),
    CheckConstraint("spent_nusd >= 0 AND leased_nusd >= 0", name="budget_amounts"),
)
"""One month of a scope. `spent_nusd` is the sum of its ledger entries, at every moment that a reader can see."""

LEASE_TABLE: Final = Table(
    "budget_lease",
    METADATA,
    Column("worker_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("remaining_nusd", BigInteger, nullable=False),
    Column("renewed_at_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("worker_id", "scope", "period", name="budget_lease_pk"),
    CheckConstraint("remaining_nusd >= 0", name="budget_lease_amount"),
)
"""The amount that a worker may spend without asking again. The leases of a budget add up to its `leased_nusd`."""

WRITE_OFF_TABLE: Final = Table(
    "budget_write_off",
    METADATA,
    Column("worker_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("charge_id", Text, nullable=False),
    PrimaryKeyConstraint("worker_id", "scope", "period", name="budget_write_off_pk"),
)
"""Leases of workers that were given up. If such a worker comes back, its entry is removed, and what it really spent is
entered."""

PAYERS_TABLE: Final = Table(
    "ledger_payer",
    METADATA,
    Column("payers_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("period", Text, nullable=False),
    PrimaryKeyConstraint("payers_id", "scope", "period", name="ledger_payer_pk"),
)
"""Groups of payers: one row for each scope and month of a group. One group pays for thousands of attempts."""

LEDGER_TABLE: Final = Table(
    "ledger_entry",
    METADATA,
    Column("charge_id", Text, nullable=False),
    Column("payers_id", Text, nullable=False),
    Column("amount_nusd", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("is_estimated", Boolean, nullable=False),
    Column("lane_id", Text, nullable=False),
    Column("price_snapshot_id", Text, nullable=False),
    PrimaryKeyConstraint("charge_id", name="ledger_entry_pk"),
    CheckConstraint("amount_nusd >= 0", name="ledger_entry_amount"),
    sqlite_with_rowid=False,
)
"""One row for every attempt that cost something. Each payer of a row pays all of it.

A hosted attempt has a second row: the provider's price, which the operator pays. Rows are added and never changed; only
a write-off may be removed.
"""
