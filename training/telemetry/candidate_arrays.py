"""Candidates of many decisions as arrays over one list of lanes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.telemetry.logged_requests import Float32s, Int32s, Ints, Mask

NUMBERS: Final = ("quality", "quality_std", "expected_completion_tokens", "expected_cost_usd", "expected_latency_ms")
SHIFTS: Final = ("quality_shift", "account_shift")


@dataclass(frozen=True, slots=True, eq=False)
class CandidateArrays:
    """Candidates of `n` decisions over `m` lanes; each array has shape (n, m).

    Args:
        numbers: Column of `NUMBERS` -> its values; NaN where unknown or where the lane was no candidate.
        probability: Probability that the lane was drawn; 0 where it was no candidate.
        is_eligible: True for candidates that nothing excluded.
        belief_shift: Amount that was added to the log odds of `quality`; 0 where nothing was added.
        lane_shift: Part of it that was learned of the lanes online; the rest is the account's correction.
        fallback_tier: Tiers of the lanes; 0 in the first tier, and where the log does not say.
    """

    numbers: Mapping[str, Float32s]
    probability: Float32s
    is_eligible: Mask
    belief_shift: Float32s
    lane_shift: Float32s
    fallback_tier: Int32s


def candidate_arrays(candidates: Any, column_of_lane: Mapping[str, int]) -> CandidateArrays:
    """Return candidates as arrays, without creating a Python object per lane.

    Args:
        candidates: Arrow array of length n: a list of structs for each decision, with a dictionary-encoded `lane_id`.
        column_of_lane: Lane id -> column, 0..m-1, for every lane in `candidates`.
    """
    n_decisions, n_lanes = len(candidates), len(column_of_lane)
    structs = candidates.flatten()
    place = np.repeat(np.arange(n_decisions) * n_lanes, list_lengths(candidates))
    place += lane_columns(structs.field("lane_id"), column_of_lane)

    def as_array(values: Any, absent: float) -> Float32s:
        flat = np.full(n_decisions * n_lanes, absent, np.float32)
        flat[place] = values.to_numpy(zero_copy_only=False)
        return flat.reshape(n_decisions, n_lanes)

    numbers = {name: as_array(structs.field(name), np.nan) for name in NUMBERS}
    is_eligible = np.zeros(n_decisions * n_lanes, np.bool_)
    is_eligible[place] = structs.field("excluded_by").is_null().to_numpy(zero_copy_only=False)
    fallback_tier = np.zeros(n_decisions * n_lanes, np.int32)
    # `demotion` is the column's name for the fallback tier.
    fallback_tier[place] = pc.fill_null(structs.field("demotion"), 0).to_numpy(zero_copy_only=False)
    nothing = np.zeros((n_decisions, n_lanes), np.float32)
    shifts = [structs.field(name) for name in SHIFTS]
    lane_shift, account_shift = (
        np.nan_to_num(as_array(shift, 0.0)) if shift.null_count < len(shift) else nothing for shift in shifts
    )
    return CandidateArrays(
        numbers,
        as_array(structs.field("probability"), 0.0),
        is_eligible.reshape(n_decisions, n_lanes),
        lane_shift + account_shift,
        lane_shift,
        fallback_tier.reshape(n_decisions, n_lanes),
    )


def lane_columns(lanes: Any, column_of_lane: Mapping[str, int]) -> Ints:
    """Return the column of each lane in a dictionary-encoded Arrow array."""
    # The dictionary can hold lanes that no row refers to any more.
    columns = np.array([column_of_lane.get(lane, -1) for lane in lanes.dictionary.to_pylist()], np.intp)
    return np.asarray(columns[lanes.indices.to_numpy()], np.intp)


def list_lengths(lists: Any) -> Ints:
    """Return the length of each list of an Arrow array; 0 for a null."""
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False), np.intp)


def whole_column(table: pa.Table, name: str) -> Any:
    """Return a column as one Arrow array.

    Its type is `Any`, because the stubs lack the methods of list and dictionary arrays.
    """
    return table[name].combine_chunks()
