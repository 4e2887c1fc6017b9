"""Models that refuse a parameter are passed over for a while, and the names of a parameter count as one."""

from dataclasses import replace

import pytest
from any_lane import LANE

from router.lane_table import LaneTable
from serve.lanes.refused_parameters import REMEMBERED_S, RefusedParameters, parameter_name

OTHER = replace(LANE, lane_id="other/model", upstream_model="another-model")
TABLE = LaneTable.build((LANE, OTHER), ())


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_model_that_refused_a_parameter_is_passed_over_for_requests_with_it_alone() -> None:
    memory = RefusedParameters(Seconds())
    assert memory.mask(TABLE, ["temperature"]) is None
    memory.note(LANE, "temperature")
    assert memory.mask(TABLE, ["top_p"]) is None
    mask = memory.mask(TABLE, ["messages", "temperature"])
    assert mask is not None
    assert mask.tolist() == [lane.lane_id == LANE.lane_id for lane in TABLE.lanes]


def test_a_refused_parameter_is_forgotten_after_ten_minutes() -> None:
    seconds = Seconds()
    memory = RefusedParameters(seconds)
    memory.note(LANE, "temperature")
    seconds.now += REMEMBERED_S - 1
    assert [entry.parameter for entry in memory.entries()] == ["temperature"]
    seconds.now += 1
    assert memory.mask(TABLE, ["temperature"]) is None
    assert memory.entries() == []


def test_the_memory_is_bounded() -> None:
    memory = RefusedParameters(Seconds())
    for number in range(1_100):
        memory.note(LANE, f"field_{number}")
    assert len(memory.entries()) == 1_000


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "maxOutputTokens", "max_output_tokens"])
def test_the_names_of_a_parameter_in_all_dialects_count_as_one(name: str) -> None:
    assert parameter_name(name) == "max_tokens"
