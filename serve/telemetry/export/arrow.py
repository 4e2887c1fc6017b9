"""Telemetry rows as Arrow tables. Import this only to export: it imports pyarrow, slowly."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from router.telemetry_arrow import CANDIDATE, arrow_schema
from router.telemetry_schema import (
    ATTEMPT_COLUMNS,
    FEEDBACK_COLUMNS,
    LANE_COLUMNS,
    AttemptRow,
    CandidateTable,
    FeedbackRow,
    Floats,
    LaneRow,
)

_NUMBERS_OF_CANDIDATES: Final[dict[str, Callable[[CandidateTable], Floats]]] = {
    "quality": lambda table: table.quality,
    "quality_std": lambda table: table.quality_std,
    "expected_completion_tokens": lambda table: table.expected_completion_tokens,
    "expected_cost_usd": lambda table: table.expected_cost_usd,
    "expected_latency_ms": lambda table: table.expected_latency_ms,
    "probability": lambda table: table.probability,
    "quality_shift": lambda table: _or_unknown(table.quality_shift, table),
    "account_shift": lambda table: _or_unknown(table.account_shift, table),
}


ATTEMPT_SCHEMA: Final = arrow_schema(ATTEMPT_COLUMNS)
FEEDBACK_SCHEMA: Final = arrow_schema(FEEDBACK_COLUMNS)
LANE_SCHEMA: Final = arrow_schema(LANE_COLUMNS)


def attempts_to_arrow(rows: Sequence[AttemptRow]) -> pa.Table:
    """Return the rows as a table of `ATTEMPT_SCHEMA`, in their order."""
    arrays = [_attempt_array(field, rows) for field in ATTEMPT_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=ATTEMPT_SCHEMA)


def feedback_to_arrow(rows: Sequence[FeedbackRow]) -> pa.Table:
    """Return the rows as a table of `FEEDBACK_SCHEMA`, in their order."""
    return _plain_table(rows, FEEDBACK_SCHEMA)


def lanes_to_arrow(rows: Sequence[LaneRow]) -> pa.Table:
    """Return the rows as a table of `LANE_SCHEMA`, in their order."""
    return _plain_table(rows, LANE_SCHEMA)


def _plain_table(rows: Sequence[FeedbackRow] | Sequence[LaneRow], schema: pa.Schema) -> pa.Table:
    arrays = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _attempt_array(field: "pa.Field[pa.DataType]", rows: Sequence[AttemptRow]) -> "pa.Array[Any]":
    if field.name == "features":
        return _feature_array([row.features for row in rows])
    if field.name == "candidates":
        return _candidate_array([row.candidates for row in rows])
    return pa.array([getattr(row, field.name) for row in rows], field.type)


def _feature_array(vectors: Sequence[npt.NDArray[np.float32] | None]) -> "pa.Array[Any]":
    present = [vector for vector in vectors if vector is not None]
    numbers = pa.array(np.concatenate(present) if present else np.empty(0, np.float32), pa.float32())
    return _list_array([None if vector is None else len(vector) for vector in vectors], numbers)


def _candidate_array(tables: Sequence[CandidateTable | None]) -> "pa.Array[Any]":
    # Column by column over all rows at once: an object per candidate would take minutes per million rows.
    present = [table for table in tables if table is not None]
    children = [_candidate_child(field, present) for field in CANDIDATE]
    structs = pa.StructArray.from_arrays(children, fields=list(CANDIDATE))
    return _list_array([None if table is None else len(table.lane_ids) for table in tables], structs)


def _candidate_child(field: "pa.Field[pa.DataType]", tables: Sequence[CandidateTable]) -> "pa.Array[Any]":
    if field.name == "lane_id":
        return pa.array([lane_id for table in tables for lane_id in table.lane_ids], field.type)
    if field.name == "excluded_by":
        return pa.array(
            [table.excluded_by.get(index) for table in tables for index in range(len(table.lane_ids))], field.type
        )
    if field.name == "demotion":  # the column's name for the fallback tier
        return _fallback_tiers(tables)
    numbers_of = _NUMBERS_OF_CANDIDATES[field.name]
    numbers = np.concatenate([numbers_of(table) for table in tables]) if tables else np.empty(0)
    return pa.array(numbers, field.type, from_pandas=field.nullable)


def _fallback_tiers(tables: Sequence[CandidateTable]) -> "pa.Array[Any]":
    parts = [
        np.zeros(len(table.lane_ids), np.int32) if table.fallback_tier is None else table.fallback_tier
        for table in tables
    ]
    is_null = [np.full(len(table.lane_ids), table.fallback_tier is None) for table in tables]
    none, never = np.empty(0, np.int32), np.empty(0, np.bool_)
    return pa.array(np.concatenate([none, *parts]).astype(np.int32), pa.int32(), mask=np.concatenate([never, *is_null]))


def _or_unknown(shift: Floats | None, table: CandidateTable) -> Floats:
    return np.full(len(table.lane_ids), np.nan, np.float32) if shift is None else shift


def _list_array(lengths: Sequence[int | None], values: "pa.Array[Any]") -> "pa.Array[Any]":
    offsets = pa.array(list(accumulate((length or 0 for length in lengths), initial=0)), pa.int32())
    is_null = pa.array([length is None for length in lengths], pa.bool_())
    return pa.ListArray.from_arrays(offsets, values, mask=is_null)
