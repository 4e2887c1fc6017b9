"""The table of what exploration was expected to cost, month by month. Money is integer nano-dollars."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, PrimaryKeyConstraint, Table, Text

from serve.storage.tables import METADATA

EXPLORATION_TABLE: Final = Table(
    "exploration_month",
    METADATA,
    Column("period", Text, nullable=False),
    Column("taken_nusd", BigInteger, nullable=False),
    Column("spent_nusd", BigInteger, nullable=False),
    Column("n_explored", BigInteger, nullable=False),
    PrimaryKeyConstraint("period", name="exploration_month_pk"),
    CheckConstraint("taken_nusd >= 0 AND spent_nusd >= 0 AND n_explored >= 0", name="exploration_month_amounts"),
)
"""One row for every month.

- `taken_nusd`: amount that workers have taken from the ceiling and not given back; never above the ceiling.
- `spent_nusd`: amount that they have reported as spent.
"""
