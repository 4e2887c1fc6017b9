"""Why a lane was chosen, in one word each: the values of `x-llmdeal-reason`."""

from enum import StrEnum


class Reason(StrEnum):
    """The reasons that callers may see and logs may hold."""

    CHEAPEST_ABOVE_BAR = "cheapest_above_bar"
    BEST_BELOW_BAR = "best_below_bar"
    """No eligible lane is expected to meet the caller's bar, so the one expected to be best answers."""
    BEST_QUALITY_PER_DOLLAR = "best_quality_per_dollar"
    CHEAPEST = "cheapest"
    LOWEST_LATENCY = "lowest_latency"
    ONLY_CANDIDATE = "only_candidate"
    PINNED = "pinned"
    AFFINITY = "affinity"
    EXPLORED = "explored"
    FALLBACK_RATE_LIMITED = "fallback_rate_limited"
    FALLBACK_ERROR = "fallback_error"
    FALLBACK_SLOW = "fallback_slow"
    """The lanes asked before were slow to begin."""
    FALLBACK_BUDGET = "fallback_budget"
    ROUTER_UNAVAILABLE = "router_unavailable"
