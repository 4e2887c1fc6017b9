from dataclasses import replace
from enum import StrEnum
from typing import Any

import numpy as np
import pytest
from telemetry_strategies import LANES, candidate_table

from serve.telemetry.candidate_codec import lane_list_id_of, pack_candidates, unpack_candidates


class Reason(StrEnum):
    REGION = "region"


def test_arrays_of_any_float_type_and_enumerated_reasons_pack_the_same() -> None:
    table = candidate_table()
    same = replace(table, quality=table.quality.astype(np.float64), excluded_by={2: Reason.REGION})

    assert pack_candidates(same) == pack_candidates(table)


@pytest.mark.parametrize(
    "changes",
    [
        {"quality": np.zeros(2, np.float32)},
        {"probability": np.zeros(4)},
        {"excluded_by": {3: "pin"}},
        {"excluded_by": {-1: "pin"}},
    ],
    ids=["short", "long", "beyond", "before"],
)
def test_columns_that_do_not_fit_the_lanes_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="lane"):
        pack_candidates(replace(candidate_table(), **changes))


def test_a_blob_of_this_version_reads_back() -> None:
    stored = bytes.fromhex(
        "97c4040000003fc404cdcccc3dc4040000c842c408f168e388b5f8e43ec4040000a04180c408cdccccccccccec3f",
    )

    (candidate,) = unpack_candidates(stored, ("sandbox/small",)).to_candidates()

    assert (candidate.quality, candidate.expected_cost_usd, candidate.probability) == (0.5, 1e-5, 0.9)


def test_lane_lists_are_known_by_their_content_and_order() -> None:
    assert lane_list_id_of(LANES) == lane_list_id_of((*LANES,))
    assert lane_list_id_of(LANES) != lane_list_id_of(LANES[::-1])
