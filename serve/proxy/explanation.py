"""The decision in words and numbers, for a caller who asks why."""

from dataclasses import asdict
from typing import Any

from router.decision import Decision
from serve.lanes.health import LaneHealth, LaneVitals
from serve.proxy.attempt import Attempt
from serve.routing.call import Call

_SIGNIFICANT = 6


def explain_decision(decision: Decision, health: LaneHealth) -> dict[str, Any]:
    """Return every candidate lane with what was expected of it and how it fares now, the chosen one, the runner-up, and why lanes were excluded."""
    lanes = decision.table.lanes
    vitals = health.vitals()
    runner_up = lanes[decision.order[1]].lane_id if len(decision.order) > 1 else None
    return {
        "chosen": decision.chosen.lane_id,
        "runner_up": runner_up,
        "reason": decision.reason.value,
        "policy": decision.policy_name,
        "propensity": decision.propensity,
        "exploration_price_usd": _exploration_price(decision, decision.order[0]),
        "candidates": [{**_candidate(decision, row), "now": _vitals(vitals[row])} for row in range(len(lanes))],
    }


def explain(call: Call, attempt: Attempt) -> dict[str, Any]:
    """Return the `llmdeal` object of a response: the decision, and what became of it."""
    return {
        "request_id": call.request_id,
        **explain_decision(call.decision, call.directory.health),
        "lane": call.decision.table.lanes[attempt.row].lane_id,
        "reason": attempt.reason.value,
        "attempts": attempt.number + 1,
        "difficulty": _rounded(call.prediction.difficulty),
        "price_snapshot_id": call.directory.price_snapshot_id,
    }


def _candidate(decision: Decision, row: int) -> dict[str, Any]:
    lane, expected = decision.table.lanes[row], decision.expectation
    excluded_by = decision.exclusions.reason_of(row)
    return {
        "lane": lane.lane_id,
        "model": lane.vendor_model,
        "quality": _rounded(expected.quality[row]),
        "quality_std": _rounded(expected.quality_std[row]),
        "quality_shift": 0.0 if expected.quality_shift is None else _rounded(expected.quality_shift[row]),
        "account_shift": 0.0 if expected.account_shift is None else _rounded(expected.account_shift[row]),
        "quality_basis": decision.table.quality_basis(row),
        "completion_tokens": round(float(expected.completion_tokens[row])),
        "cost_usd": _rounded(expected.cost_usd[row]),
        "cache_discount_usd": 0.0
        if expected.cache_discount_usd is None
        else _rounded(expected.cache_discount_usd[row]),
        "latency_ms": round(float(expected.latency_ms[row])),
        "excluded_by": None if excluded_by is None else excluded_by.value,
        "probability": float(decision.probabilities[row]),
        "exploration_price_usd": _exploration_price(decision, row),
    }


def _exploration_price(decision: Decision, row: int) -> float | None:
    """Return what answering from this row was expected to give up against the best one; None: it could not be drawn, or it is the only one that could."""
    prices = decision.exploration_prices_usd
    return None if prices is None or not decision.probabilities[row] else _rounded(prices[row])


def _vitals(vitals: LaneVitals) -> dict[str, float | None]:
    return {name: None if value is None else _rounded(value) for name, value in asdict(vitals).items()}


def _rounded(number: float) -> float:
    return float(f"{number:.{_SIGNIFICANT}g}")
