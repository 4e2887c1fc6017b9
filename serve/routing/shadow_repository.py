"""Stores the decisions of shadows, and compares them with those of the champion."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from sqlalchemy import Engine, case, delete, func, select

from serve.instant import to_microseconds
from serve.storage.batch_insert import BatchInsert
from serve.storage.bundle_tables import SHADOW_DECISION_TABLE
from serve.storage.database import SQLITE_BEGIN

_SHADOW: Final = SHADOW_DECISION_TABLE.c
_COLUMN_NAMES: Final = tuple(column.name for column in SHADOW_DECISION_TABLE.columns)
_TIMED_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ShadowDecision:
    """What a shadow would have done with one request.

    Args:
        request_id: Id of the request, as in the log.
        router_version: Version of the shadow.
        at: Time of the request's arrival.
        champion_version: Version of the bundle that decided.
        champion_lane_id: Lane that this bundle chose.
        lane_id: Lane that the shadow would have chosen.
        champion_quality, champion_cost_usd: Expectation of the deciding bundle for its lane.
        quality, cost_usd: Expectation of the shadow for its own lane.
        quality_of_champions_lane: Expectation of the shadow for the lane that was chosen.
        decision_us: Processor time of the shadow's prediction and decision, microseconds.
    """

    request_id: str
    router_version: str
    at: datetime
    champion_version: str
    champion_lane_id: str
    lane_id: str
    champion_quality: float
    champion_cost_usd: float
    quality: float
    cost_usd: float
    quality_of_champions_lane: float
    decision_us: float


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """A shadow compared with the bundle that decided, over all requests that the shadow was asked about.

    Args:
        champion_version: Version of the bundle that decided.
        n_requests: Number of requests.
        agreement: Share of requests for which both chose the same lane, 0..1.
        champion_quality, champion_cost_usd: Mean expectations of the deciding bundle for its lanes.
        quality, cost_usd: Mean expectations of the shadow for its own lanes.
        quality_of_champions_lane: Mean expectation of the shadow for the lanes that were chosen.
        decision_us, slow_decision_us: Processor time of one decision of the shadow, mean and 95th percentile,
            microseconds.
    """

    champion_version: str
    n_requests: int
    agreement: float
    champion_quality: float
    champion_cost_usd: float
    quality: float
    cost_usd: float
    quality_of_champions_lane: float
    decision_us: float
    slow_decision_us: float


class ShadowRepository:
    """Keeps and sums up decisions. Every method is one transaction.

    Args:
        engine: Engine of SQLite or PostgreSQL.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        self._insert = BatchInsert(SHADOW_DECISION_TABLE, _COLUMN_NAMES)

    def add(self, decisions: Sequence[ShadowDecision]) -> None:
        """Store decisions."""
        with self._writing.begin() as connection:
            self._insert.execute(connection, [_values_of(decision) for decision in decisions])

    def forget(self, now: datetime, days: int) -> None:
        """Delete decisions that are older than this many days."""
        before_us = to_microseconds(now - timedelta(days=days))
        with self._writing.begin() as connection:
            connection.execute(delete(SHADOW_DECISION_TABLE).where(_SHADOW.at_us < before_us))

    def summaries(self, router_version: str) -> list[ShadowSummary]:
        """Return the comparison of a shadow with each bundle that decided, the one with the most requests first."""
        n = func.count().label("n")
        means = [
            func.avg(_SHADOW[name]).label(name)
            for name in (
                "champion_quality",
                "champion_cost_usd",
                "quality",
                "cost_usd",
                "quality_of_champions_lane",
                "decision_us",
            )
        ]
        agreement = func.avg(case((_SHADOW.is_agreed, 1.0), else_=0.0)).label("agreement")
        query = (
            select(_SHADOW.champion_version, n, agreement, *means)
            .where(_SHADOW.router_version == router_version)
            .group_by(_SHADOW.champion_version)
            .order_by(n.desc())
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
            timed = (
                select(_SHADOW.decision_us)
                .where(_SHADOW.router_version == router_version)
                .order_by(_SHADOW.at_us.desc())
                .limit(_TIMED_ROWS)
            )
            times = np.array(connection.execute(timed).scalars().all(), dtype=np.float64)
        slow_us = float(np.quantile(times, 0.95)) if len(times) else 0.0
        return [
            ShadowSummary(
                champion_version=row.champion_version,
                n_requests=row.n,
                agreement=float(row.agreement),
                champion_quality=row.champion_quality,
                champion_cost_usd=row.champion_cost_usd,
                quality=row.quality,
                cost_usd=row.cost_usd,
                quality_of_champions_lane=row.quality_of_champions_lane,
                decision_us=row.decision_us,
                slow_decision_us=slow_us,
            )
            for row in rows
        ]


def _values_of(decision: ShadowDecision) -> tuple[object, ...]:
    return (
        decision.request_id,
        decision.router_version,
        to_microseconds(decision.at),
        decision.champion_version,
        decision.champion_lane_id,
        decision.lane_id,
        decision.lane_id == decision.champion_lane_id,
        decision.champion_quality,
        decision.champion_cost_usd,
        decision.quality,
        decision.cost_usd,
        decision.quality_of_champions_lane,
        decision.decision_us,
    )
