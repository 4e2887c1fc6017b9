"""The lane that would have been next. Pure.

The log keeps the expected figures of every lane, but not the policy's order. So the order is worked out again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router.telemetry_schema import AttemptRow, Candidate


@dataclass(frozen=True, slots=True)
class PolicyDefaults:
    """Values that policies use if a caller sets none: the worth of a good answer in USD, and the least quality 0..1."""

    willingness_to_pay_usd: float
    quality_bar: float


def runner_up_of(rows: Sequence[AttemptRow], defaults: PolicyDefaults) -> str | None:
    """Return the lane that was asked second, else the policy's second choice.

    None: there was no second choice, or the policy is not one of these.

    Args:
        rows: Attempts of one request, in their order.
        defaults: Present values of the gateway.
    """
    first = rows[0]
    if len(rows) > 1 and rows[1].lane_id != first.lane_id:
        return rows[1].lane_id
    score = _scores(first, defaults).get(first.policy or "")
    if score is None or first.candidates is None:
        return None
    others = [
        candidate
        for candidate in first.candidates.to_candidates()
        if candidate.excluded_by is None and candidate.lane_id != first.lane_id and _is_known(candidate)
    ]
    return max(others, key=score).lane_id if others else None


_Score = Callable[[Candidate], tuple[float, float]]


def _scores(row: AttemptRow, defaults: PolicyDefaults) -> dict[str, _Score]:
    """Return policy -> function that it maximises."""
    worth = defaults.willingness_to_pay_usd if row.willingness_to_pay_usd is None else row.willingness_to_pay_usd
    bar = defaults.quality_bar if row.quality_bar is None else row.quality_bar

    def above_bar(lane: Candidate) -> tuple[float, float]:
        is_above = _number(lane.quality) >= bar
        return float(is_above), -_number(lane.expected_cost_usd) if is_above else _number(lane.quality)

    return {
        "best_value": lambda lane: (_number(lane.quality) * worth - _number(lane.expected_cost_usd), 0.0),
        "cheapest": lambda lane: (-_number(lane.expected_cost_usd), 0.0),
        "lowest_latency": lambda lane: (-_number(lane.expected_latency_ms), 0.0),
        "cheapest_above_bar": above_bar,
    }


def _is_known(lane: Candidate) -> bool:
    return None not in (lane.quality, lane.expected_cost_usd, lane.expected_latency_ms)


def _number(value: float | None) -> float:
    return 0.0 if value is None else value
