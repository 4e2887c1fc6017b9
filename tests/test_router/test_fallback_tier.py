"""Fallback tiers are a lexicographic order of the criteria, however many values each criterion has."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from strategies import TRAINED_NAMES, contexts, lane_lists, predictions

from router.context import NO_PREFERENCES, Preferences, RouteContext
from router.expectation import LaneState, expect_outcomes
from router.fallback_tier import fallback_tiers
from router.lane import Lane
from router.lane_table import LaneTable
from router.quality_model import Prediction


def tiers_of(
    lanes: list[Lane], believed: Prediction, context: RouteContext, preferences: Preferences
) -> npt.NDArray[np.int64] | None:
    table = LaneTable.build(lanes, TRAINED_NAMES)
    state = LaneState.unmeasured(table)
    return fallback_tiers(table, expect_outcomes(table, believed, context, state), state, preferences)


def criteria_of(
    lanes: list[Lane], believed: Prediction, context: RouteContext, preferences: Preferences
) -> list[tuple[int, ...]]:
    """The criteria of each lane, most important first, in plain Python."""
    table = LaneTable.build(lanes, TRAINED_NAMES)
    latency_ms = expect_outcomes(table, believed, context, LaneState.unmeasured(table)).latency_ms
    order, providers = preferences.lane_order, list(preferences.preferred_providers)
    most_ms, least_tokens_per_s = preferences.preferred_max_latency_ms, preferences.preferred_min_tokens_per_s
    return [
        (
            int(lane.is_reserve),
            0 if order is None else order.get(lane.lane_id, max(order.values()) + 1),
            providers.index(lane.provider) if lane.provider in providers else len(providers),
            int(most_ms is not None and latency_ms[row] > most_ms)
            + int(least_tokens_per_s is not None and 1_000 / table.typical_ms_per_token[row] < least_tokens_per_s),
        )
        for row, lane in enumerate(lanes)
    ]


@given(lane_lists(), predictions(), contexts(), st.data())
def test_lanes_are_ordered_by_reserve_then_lane_then_provider_then_speed(
    lanes: list[Lane], believed: Prediction, context: RouteContext, data: st.DataObject
) -> None:
    lanes = [replace(lane, is_reserve=data.draw(st.booleans())) for lane in lanes]
    providers = sorted({lane.provider for lane in lanes})
    places = st.integers(0, 10) | st.integers(0, 10**6)
    fillers = [f"absent-{number}" for number in range(data.draw(st.sampled_from([0, 3, 2_000])))]
    preferences = Preferences(
        lane_order=data.draw(
            st.none() | st.dictionaries(st.sampled_from([lane.lane_id for lane in lanes]), places, min_size=1)
        ),
        preferred_providers=(*fillers, *data.draw(st.lists(st.sampled_from(providers), unique=True))),
        preferred_max_latency_ms=data.draw(st.none() | st.floats(0, 10_000)),
        preferred_min_tokens_per_s=data.draw(st.none() | st.floats(0, 200)),
    )
    tiers = tiers_of(lanes, believed, context, preferences)
    criteria = criteria_of(lanes, believed, context, preferences)
    for one in range(len(lanes)):
        for other in range(len(lanes)):
            if tiers is None:
                assert criteria[one] == criteria[other]
            else:
                assert (tiers[one] < tiers[other]) == (criteria[one] < criteria[other])
    assert tiers is None or 0 <= tiers.min() <= tiers.max() <= np.iinfo(np.int32).max


@given(lane_lists(), predictions(), contexts())
def test_without_preferences_and_reserves_there_are_no_tiers(
    lanes: list[Lane], believed: Prediction, context: RouteContext
) -> None:
    lanes = [replace(lane, is_reserve=False) for lane in lanes]
    assert tiers_of(lanes, believed, context, NO_PREFERENCES) is None
    assert tiers_of(lanes, believed, context, Preferences(quality_bar=0.5)) is None
