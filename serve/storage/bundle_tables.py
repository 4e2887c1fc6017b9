"""The tables of bundles: the history of their stages, and the decisions of shadows."""

from typing import Final

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Integer, PrimaryKeyConstraint, Table, Text

from serve.storage.tables import METADATA

BUNDLE_STAGE_TABLE: Final = Table(
    "bundle_stage",
    METADATA,
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("share", Double, nullable=False),
    Column("note", Text, nullable=False),
    Column("verdict", JSON),
    PrimaryKeyConstraint("number", name="bundle_stage_pk"),
)
"""Rows are added and never changed. A writer chooses the number of its row, so only one of two writers that saw the
same history can add to it."""

SHADOW_DECISION_TABLE: Final = Table(
    "shadow_decision",
    METADATA,
    Column("request_id", Text, nullable=False),
    Column("router_version", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("champion_version", Text, nullable=False),
    Column("champion_lane_id", Text, nullable=False),
    Column("lane_id", Text, nullable=False),
    Column("is_agreed", Boolean, nullable=False),
    Column("champion_quality", Double, nullable=False),
    Column("champion_cost_usd", Double, nullable=False),
    Column("quality", Double, nullable=False),
    Column("cost_usd", Double, nullable=False),
    Column("quality_of_champions_lane", Double, nullable=False),
    Column("decision_us", Double, nullable=False),
    PrimaryKeyConstraint("request_id", "router_version", name="shadow_decision_pk"),
    Index("shadow_decision_of_version", "router_version", "at_us"),
)
"""One row for every request on which a shadow was asked: choices and predictions of the shadow and of the champion.

`quality_of_champions_lane` is the quality that the shadow predicts for the lane that the champion chose.
"""
