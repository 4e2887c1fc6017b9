"""Which lanes a model has at several efforts of reasoning, and which of them a request may be sent to."""

from dataclasses import replace

import pytest
from any_lane import LANE
from hypothesis import given
from hypothesis import strategies as st
from strategies import TRAINED_NAMES, lanes_at_efforts

from router.effort import OTHER_EFFORT, EffortColumns, effort_lanes, named_effort
from router.lane import EFFORTS, Capability, Choice, Effort, Lane
from router.lane_table import LaneTable

KNOWN = ("maker/m", "maker/m@none", "maker/m@high", "graded-m@xhigh")
MODEL = replace(LANE, lane_id="lab/m-1", upstream_model="m-1", vendor_model="maker/m")
TAKEN: tuple[Effort, ...] = ("none", "low", "high", "xhigh")


def table_of(*lanes: Lane) -> LaneTable:
    return LaneTable.build(lanes, KNOWN)


def test_a_model_has_a_lane_for_each_effort_that_provider_and_bundle_know() -> None:
    lanes = effort_lanes(MODEL, ("high", "none", "low"), KNOWN)

    assert [(lane.lane_id, lane.effort, lane.trained_name) for lane in lanes] == [
        ("lab/m-1:none", "none", "maker/m@none"),
        ("lab/m-1:high", "high", "maker/m@high"),
    ]
    assert {(lane.base_id, lane.upstream_model, lane.account, lane.price) for lane in lanes} == {
        (MODEL.lane_id, MODEL.upstream_model, MODEL.account, MODEL.price)
    }


@pytest.mark.parametrize(
    ("taken", "trained_names"), [((), KNOWN), (TAKEN, ()), (TAKEN, ("maker/m",)), (("low",), KNOWN)]
)
def test_without_knowledge_there_is_no_further_lane(taken: tuple[Effort, ...], trained_names: tuple[str, ...]) -> None:
    assert effort_lanes(MODEL, taken, trained_names) == ()


def test_a_bundle_may_spell_the_model_in_another_way() -> None:
    snapshot = "gpt-5.4-2026-03-05@high"
    model = replace(LANE, lane_id="openai/gpt-5.4", upstream_model="gpt-5.4", vendor_model="openai/gpt-5.4")
    lanes = [model, *effort_lanes(model, TAKEN, (snapshot, "openai/gpt-5.4-mini@low"))]
    assert [(lane.effort, lane.trained_name) for lane in lanes[1:]] == [("high", snapshot)]

    table = LaneTable.build(lanes, ("gpt-5.4-2026-03-05", snapshot))
    assert table.trained_index.tolist() == [0, 1]
    names = ("gpt-5.4-2026-03-05:high", "a:gpt-5.4-2026-03-05:high", "openai/gpt-5.4-2026-03-05:high")
    assert [table.find(name) for name in names] == [(1,), (1,), (1,)]
    assert table.find("gpt-5.4-2026-03-05") == (0,)
    assert table.find("gpt-5.4:free:high") == ()


@pytest.mark.parametrize(("choice", "is_choosable"), [("always", True), ("if_known", True), ("never", False)])
def test_all_efforts_of_a_model_are_choosable_or_none_is(choice: Choice, is_choosable: bool) -> None:
    model = replace(MODEL, vendor_model="maker/other", trained_name=None, choice=choice)
    lanes = [model, *effort_lanes(model, TAKEN, ("maker/other@low", "maker/other@high"))]
    table = LaneTable.build(lanes, ("maker/other@high",))
    assert len(lanes) == 3
    assert table.choosable().tolist() == [is_choosable] * 3
    assert not LaneTable.build([replace(model, choice="if_known")], ("maker/m",)).choosable().any()


def test_the_name_under_which_a_model_was_graded_counts_first() -> None:
    graded = replace(MODEL, trained_name="graded-m")
    assert [lane.trained_name for lane in effort_lanes(graded, TAKEN, KNOWN)] == [
        "maker/m@none",
        "maker/m@high",
        "graded-m@xhigh",
    ]


def test_each_effort_has_its_own_column_of_the_bundle_and_its_own_names() -> None:
    table = table_of(MODEL, *effort_lanes(MODEL, TAKEN, KNOWN))

    assert table.trained_index.tolist() == [0, 1, 2]
    names = ("maker/m", "m", "lab/m-1", "a:maker/m:high", "maker/m:none", "m-1:high", "maker/m:low")
    assert [table.find(name) for name in names] == [(0,), (0,), (0,), (2,), (1,), (2,), ()]
    assert table.efforts is not None
    assert table.efforts.with_siblings((0,)) == (0, 1, 2)


def test_an_effort_that_the_bundle_does_not_know_is_never_set() -> None:
    unknown = replace(MODEL, lane_id="lab/m-1:low", effort="low", trained_name="maker/m@low")
    table = table_of(MODEL, unknown)
    assert table.efforts is not None

    assert table.trained_index.tolist() == [0, -1]
    for stated in (None, "low", "high", OTHER_EFFORT):
        unfit = table.efforts.unfit(stated, Capability.NONE, None)
        assert unfit is not None
        assert unfit.tolist() == [False, True]


def test_a_capability_that_reasoning_costs_excludes_only_efforts_that_the_router_would_set() -> None:
    lanes = [MODEL, *effort_lanes(MODEL, TAKEN, KNOWN)]
    lanes[2] = replace(lanes[2], lost_by_effort=Capability.TOOLS)
    table = table_of(*lanes)
    assert table.efforts is not None

    def unfit(stated: str | None, required: Capability) -> list[bool] | None:
        mask = table.efforts and table.efforts.unfit(stated, required, None)
        return None if mask is None else mask.tolist()

    assert unfit(None, Capability.NONE) is None
    assert unfit(None, Capability.TOOLS | Capability.IMAGES) == [False, False, True]
    assert unfit("high", Capability.TOOLS) == [True, True, False]


def test_no_table_has_columns_of_efforts_without_a_lane_that_sets_one() -> None:
    assert EffortColumns.of([MODEL], KNOWN) is None


@given(lanes_at_efforts())
def test_a_request_that_states_an_effort_fits_exactly_one_lane_of_each_model(lanes: list[Lane]) -> None:
    columns = EffortColumns.of(lanes, TRAINED_NAMES)
    if columns is None:
        return
    for stated in (*EFFORTS, OTHER_EFFORT):
        unfit = columns.unfit(stated, Capability.NONE, None)
        assert unfit is not None
        fitting = [lane.base_id for lane, is_unfit in zip(lanes, unfit, strict=True) if not is_unfit]
        assert sorted(fitting) == sorted({lane.base_id for lane in lanes})


@given(st.none() | st.text())
def test_a_field_states_an_effort_or_something_else_or_nothing(word: str | None) -> None:
    stated = named_effort(word)
    assert stated == (None if word is None else word if word in EFFORTS else OTHER_EFFORT)
