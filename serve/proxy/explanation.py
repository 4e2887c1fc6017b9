"""The explanation of a decision in words and numbers, for a caller that asks for it."""

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import asdict

from router.decision import Decision
from router.policies.registry import REASONS
from router.quality_basis import QualityBasis, how_to_sharpen
from router.reason import Reason
from serve.lanes.health import LaneVitals
from serve.proxy.attempt import Attempt
from serve.routing.call import Call

ReasonWord = Annotated[str, Meta(extra_json_schema={"enum": list(REASONS)})]
_SIGNIFICANT = 6


class Vitals(Struct):
    """How a lane fares now; `null` is unknown."""

    rests_for_s: float
    ttft_ms: float
    ms_per_token: float
    error_rate: float
    requests_left: float | None
    tokens_left: float | None


class Candidate(Struct):
    """A lane with what was expected of it; `effort` is that of reasoning, and null leaves it to the provider."""

    lane: str
    model: str
    effort: str | None
    quality: float
    quality_std: float
    quality_shift: float
    account_shift: float
    quality_basis: QualityBasis
    quality_basis_text: str
    sharpen_with: str | None
    completion_tokens: int
    reasoning_tokens: int | None
    room: float | None
    cost_usd: float
    cache_discount_usd: float
    latency_ms: int
    excluded_by: str | None
    probability: float
    exploration_price_usd: float | None
    now: Vitals


class ExplainedDecision(Struct):
    """A decision: every candidate with what was expected of it, the one that won, and the reason."""

    request_id: str
    chosen: str
    runner_up: str | None
    reason: ReasonWord
    policy: str
    propensity: float
    exploration_price_usd: float | None
    candidates: list[Candidate]


class RouteAnswer(ExplainedDecision):
    """A decision, without an answer."""

    prompt_tokens: int
    difficulty: float
    router_version: str
    price_snapshot_id: str


class Explanation(ExplainedDecision):
    """The `llmdeal` object of an answer: the decision, and what became of it."""

    lane: str
    attempts: int
    difficulty: float
    price_snapshot_id: str


def explain_route(call: Call) -> RouteAnswer:
    """Return the decision on a call that no lane is going to answer."""
    return RouteAnswer(
        **asdict(_decision(call, call.decision.reason)),
        prompt_tokens=call.context.prompt_tokens,
        difficulty=_rounded(call.prediction.difficulty),
        router_version=call.router_version,
        price_snapshot_id=call.directory.price_snapshot_id,
    )


def explain(call: Call, attempt: Attempt) -> Explanation:
    """Return the `llmdeal` object of a response: the decision, and what became of it."""
    return Explanation(
        **asdict(_decision(call, attempt.reason)),
        lane=call.decision.table.lanes[attempt.row].lane_id,
        attempts=attempt.number + 1,
        difficulty=_rounded(call.prediction.difficulty),
        price_snapshot_id=call.directory.price_snapshot_id,
    )


def _decision(call: Call, reason: Reason) -> ExplainedDecision:
    decision = call.decision
    vitals = call.directory.health.vitals()
    rows = call.listed_rows().tolist()
    return ExplainedDecision(
        request_id=call.request_id,
        chosen=decision.chosen.lane_id,
        runner_up=decision.table.lanes[decision.order[1]].lane_id if len(decision.order) > 1 else None,
        reason=reason.value,
        policy=decision.policy_name,
        propensity=decision.propensity,
        exploration_price_usd=_exploration_price(decision, decision.order[0]),
        candidates=[_candidate(decision, row, vitals[row]) for row in rows],
    )


def _candidate(decision: Decision, row: int, vitals: LaneVitals) -> Candidate:
    lane, expected = decision.table.lanes[row], decision.expectation
    excluded_by, basis = decision.exclusions.reason_of(row), decision.table.quality_basis(row)
    discount = expected.cache_discount_usd
    return Candidate(
        lane=lane.lane_id,
        model=lane.vendor_model,
        effort=lane.effort,
        quality=_rounded(expected.quality[row]),
        quality_std=_rounded(expected.quality_std[row]),
        quality_shift=0.0 if expected.quality_shift is None else _rounded(expected.quality_shift[row]),
        account_shift=0.0 if expected.account_shift is None else _rounded(expected.account_shift[row]),
        quality_basis=basis,
        quality_basis_text=decision.table.describe_basis(row),
        sharpen_with=how_to_sharpen(basis, lane.vendor_model),
        completion_tokens=round(float(expected.completion_tokens[row])),
        reasoning_tokens=None if expected.reasoning_tokens is None else round(float(expected.reasoning_tokens[row])),
        room=None if expected.room is None else _rounded(expected.room[row]),
        cost_usd=_rounded(expected.cost_usd[row]),
        cache_discount_usd=0.0 if discount is None else _rounded(discount[row]),
        latency_ms=round(float(expected.latency_ms[row])),
        excluded_by=None if excluded_by is None else excluded_by.value,
        probability=float(decision.probabilities[row]),
        exploration_price_usd=_exploration_price(decision, row),
        now=_vitals(vitals),
    )


def _exploration_price(decision: Decision, row: int) -> float | None:
    """Return what an answer from this row was expected to give up against the best one.

    None: the row could not be drawn, or it is the only one that could.
    """
    prices = decision.exploration_prices_usd
    return None if prices is None or not decision.probabilities[row] else _rounded(prices[row])


def _vitals(vitals: LaneVitals) -> Vitals:
    return Vitals(
        rests_for_s=_rounded(vitals.rests_for_s),
        ttft_ms=_rounded(vitals.ttft_ms),
        ms_per_token=_rounded(vitals.ms_per_token),
        error_rate=_rounded(vitals.error_rate),
        requests_left=None if vitals.requests_left is None else _rounded(vitals.requests_left),
        tokens_left=None if vitals.tokens_left is None else _rounded(vitals.tokens_left),
    )


def _rounded(number: float) -> float:
    return float(f"{number:.{_SIGNIFICANT}g}")
