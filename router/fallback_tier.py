"""Fallback tiers: which lanes come first for the caller's soft preferences and the reserve, whatever the policy.

A caller that prefers provider a over b, with a reserve at c, gets the tiers a 0, b 1, c 2 and more. The policy ranks
lanes only within a tier.
"""

import numpy as np

from router.arrays import Ints
from router.context import NO_PREFERENCES, Preferences
from router.expectation import Expectation, LaneState
from router.lane_table import LaneTable

_LARGEST_LOGGED_TIER = np.iinfo(np.int32).max
_N_SPEED_LEVELS = 3
"""A lane misses none, one or both of the two speed preferences, which count alike."""


def fallback_tiers(
    table: LaneTable, expectation: Expectation, state: LaneState, preferences: Preferences
) -> Ints | None:
    """Return the tier of each lane of a table that is not empty, shape (n_lanes,); None when all lanes are in tier 0.

    The criteria count in this order: the reserve, the caller's order of lanes, its order of providers, its speed
    preferences. A later criterion only decides between lanes that all earlier ones leave equal. The tier is therefore a
    number whose digits are the criteria: before a criterion is added, the tier is multiplied by the number of values
    that the criterion can have, so that no criterion can ever outweigh an earlier one.
    """
    if preferences is NO_PREFERENCES and table.is_reserve is None:
        return None
    tier: Ints = np.zeros(len(table), np.int64) if table.is_reserve is None else table.is_reserve.astype(np.int64)
    if preferences.lane_order is not None:
        place_of_lane = preferences.lane_order
        last = max(place_of_lane.values(), default=-1) + 1
        tier *= last + 1
        tier += np.array([place_of_lane.get(lane_id, last) for lane_id in table.lane_ids], np.int64)
    if preferences.preferred_providers:
        place_of = {provider: place for place, provider in enumerate(preferences.preferred_providers)}
        last = len(preferences.preferred_providers)
        tier *= last + 1
        tier += np.array([place_of.get(lane.provider, last) for lane in table.lanes], np.int64)
    if preferences.preferred_max_latency_ms is not None or preferences.preferred_min_tokens_per_s is not None:
        tier *= _N_SPEED_LEVELS
        if preferences.preferred_max_latency_ms is not None:
            tier += expectation.latency_ms > preferences.preferred_max_latency_ms
        if preferences.preferred_min_tokens_per_s is not None:
            tier += 1_000 / state.ms_per_token < preferences.preferred_min_tokens_per_s
    largest = tier.max()
    if largest > _LARGEST_LOGGED_TIER:  # thousands of preferred lanes and providers: number the tiers in use 0, 1, 2, …
        return np.unique(tier, return_inverse=True)[1]
    return tier if largest else None
