"""Writes simulated traffic as nightly telemetry exports, in the format of `router.telemetry_schema`."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from router.features import FEATURES_VERSION
from router.price_table import NUSD_PER_USD
from router.telemetry_arrow import CANDIDATE, arrow_schema
from router.telemetry_schema import (
    ATTEMPT_COLUMNS,
    CANDIDATE_COLUMNS,
    EXPORT_FORMAT,
    EXPORT_MANIFEST,
    FEEDBACK_COLUMNS,
    LANE_COLUMNS,
    TELEMETRY_SCHEMA_VERSION,
    Column,
)
from training.simulate.bundle_arm import Routed
from training.simulate.world import PROVIDER, Floats, World

_SHARED: Final = {
    "attempt": 0,
    "account": "default",
    "tags": [],
    "endpoint": "/v1/chat/completions",
    "is_streaming": False,
    "n_turns": 1,
    "features_version": FEATURES_VERSION,
    "provider": PROVIDER,
    "usage_is_estimated": False,
    "status": 200,
    "outcome": "ok",
    "finish_reason": "stop",
    "cached_tokens": 0,
    "cache_write_tokens": 0,
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A grade of one request: its number, the grade, and the time at which it was received."""

    number: int
    value: float
    received_at: datetime


class TelemetryFolder:
    """A folder of nightly exports.

    Args:
        folder: Folder for the exports; each gets a folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add_night(
        self, world: World, routed: Sequence[Routed], rewards: Floats, judged: Sequence[Judgement], day: int
    ) -> None:
        """Write the export of one day: its requests, and the feedback received on it."""
        out = self.folder / f"day-{day:03}"
        attempts = _table(ATTEMPT_COLUMNS, _attempt_values(world, routed, day))
        feedback = _table(
            FEEDBACK_COLUMNS,
            {
                "request_id": [request_id(judgement.number) for judgement in judged],
                "metric_name": ["score"] * len(judged),
                "value": [judgement.value for judgement in judged],
                "given_by": ["corpus"] * len(judged),
                "received_at": [judgement.received_at for judgement in judged],
            },
        )
        begin = world.night_after(day - 1)
        parts = {"attempts": (attempts, begin), "feedback": (feedback, begin)}
        files = [
            _write(out, f"{name}/date={began:%Y-%m-%d}", table)
            for name, (table, began) in parts.items()
            if table.num_rows
        ]
        files.append(_write(out, "lanes", _table(LANE_COLUMNS, _lane_values(world, day))))
        manifest = {
            "format": EXPORT_FORMAT,
            "schema_version": TELEMETRY_SCHEMA_VERSION,
            "since": begin.isoformat(),
            "until": world.night_after(day).isoformat(),
            "attempt_rows": attempts.num_rows,
            "feedback_rows": feedback.num_rows,
            "files": files,
        }
        (out / EXPORT_MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def request_id(number: int) -> str:
    """Return the id of a request of the traffic."""
    return f"req_{number:024x}"


def _lane_values(world: World, day: int) -> dict[str, Any]:
    lanes = world.lanes(day, None)
    n = len(lanes)
    return {
        "price_snapshot_id": [snapshot_id(day)] * n,
        "lane_id": [lane.lane_id for lane in lanes],
        "provider": [lane.provider for lane in lanes],
        "upstream_model": [lane.upstream_model for lane in lanes],
        "vendor_model": [lane.vendor_model for lane in lanes],
        "trained_name": [lane.trained_name for lane in lanes],
        "input_usd_per_mtok": [float(lane.price.input_usd_per_mtok) for lane in lanes],
        "output_usd_per_mtok": [float(lane.price.output_usd_per_mtok) for lane in lanes],
        "request_usd": [0.0] * n,
        "context_tokens": [lane.context_tokens for lane in lanes],
        "noted_at": [world.night_after(day - 1)] * n,
    }


def snapshot_id(day: int) -> str:
    """Return the id of a day's prices."""
    return f"day-{day:03}"


def _attempt_values(world: World, routed: Sequence[Routed], day: int) -> dict[str, Any]:
    values: dict[str, list[Any]] = defaultdict(list)
    costs = world.costs(world.requests[[one.number for one in routed]], day)
    for one, cost_usd in zip(routed, costs, strict=True):
        row, decision = int(world.requests[one.number]), one.decision
        context, tokens = world.contexts[row], round(float(world.tokens[row, one.lane]))
        own_values = {
            "request_id": request_id(one.number),
            "started_at": world.started_at[one.number],
            "conversation_id": request_id(one.number),
            "features": one.prediction.features,
            "prompt_text": context.text,
            "prompt_characters": context.prompt_characters,
            "lane_id": decision.chosen.lane_id,
            "upstream_model": decision.chosen.upstream_model,
            "vendor_model": decision.chosen.vendor_model,
            "propensity": decision.propensity,
            "reason": decision.reason.value,
            "policy": decision.policy_name,
            "router_version": one.router_version,
            "price_snapshot_id": snapshot_id(day),
            "willingness_to_pay_usd": world.scenario.worth_usd,
            "prompt_tokens": context.prompt_tokens,
            "completion_tokens": tokens,
            "cost_nusd": round(float(cost_usd[one.lane]) * NUSD_PER_USD),
            "total_ms": float(decision.expectation.latency_ms[decision.order[0]]),
        }
        for name, value in (_SHARED | own_values).items():
            values[name].append(value)
    return {**values, "candidates": _candidates(routed)}


def _candidates(routed: Sequence[Routed]) -> "pa.Array[Any]":
    columns: dict[str, list[Any]] = {column.name: [] for column in CANDIDATE_COLUMNS}
    for one in routed:
        decision, expected = one.decision, one.decision.expectation
        excluded = decision.exclusions.by_row()
        columns["lane_id"].extend(decision.table.lane_ids)
        columns["quality"].extend(expected.quality.tolist())
        columns["quality_std"].extend(expected.quality_std.tolist())
        columns["expected_completion_tokens"].extend(expected.completion_tokens.tolist())
        columns["expected_cost_usd"].extend(expected.cost_usd.tolist())
        columns["expected_latency_ms"].extend(expected.latency_ms.tolist())
        if expected.quality_shift is not None:
            columns["quality_shift"].extend(expected.quality_shift.tolist())
        else:
            columns["quality_shift"].extend([None] * len(decision.table))
        columns["excluded_by"].extend(excluded.get(row) for row in range(len(decision.table)))
        columns["probability"].extend(decision.probabilities.tolist())
    n_candidates = len(columns["lane_id"])
    children = [pa.array(columns[field.name] or [None] * n_candidates, field.type) for field in CANDIDATE]
    structs = pa.StructArray.from_arrays(children, fields=list(CANDIDATE))
    offsets = list(accumulate((len(one.decision.table) for one in routed), initial=0))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), structs)


def _table(columns: Sequence[Column], values: Mapping[str, Any]) -> pa.Table:
    """Return the values as a table; columns without values are null."""
    n_rows = len(next(iter(values.values())))
    schema = arrow_schema(columns)
    arrays = [
        column
        if isinstance(column := values.get(field.name), pa.Array)
        else pa.array(column or [None] * n_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _write(out: Path, place: str, table: pa.Table) -> dict[str, Any]:
    path = out / place / "part-00000.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")
    content = path.read_bytes()
    relative = path.relative_to(out).as_posix()
    return {
        "path": relative,
        "rows": table.num_rows,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
