"""Writes down what became of each attempt: a telemetry row, and the metrics."""

from dataclasses import dataclass
from typing import Protocol

from router.decision import Decision
from router.price_table import TokenUsage
from router.telemetry_schema import AttemptRow, CandidateTable, FeedbackRow, Outcome
from serve.clock import Clock
from serve.identity.content_consent import ContentConsent
from serve.metrics import Metrics
from serve.outcome_checks.answer_content import read_answer_content
from serve.outcome_checks.checker import OutcomeChecker
from serve.proxy.attempt import UNCHARGED_OUTCOMES, Attempt
from serve.routing.call import Call

_MAX_TOLD_CHARACTERS = 200
_LARGEST_INT32 = 2**31 - 1
_USUAL_WORDS = frozenset({"stop", "length", "tool_calls", "content_filter", "end_turn", "max_tokens", "tool_use"})


class TelemetrySink(Protocol):
    """Takes rows, at once and without waiting."""

    def record(self, row: AttemptRow | FeedbackRow) -> bool:
        """Take one row; False when it was dropped."""
        ...


@dataclass(frozen=True, slots=True)
class AttemptRecorder:
    """Observes attempts.

    Args:
        sink: Where rows go.
        metrics: What is counted.
        clock: For durations.
        consent: How much of an account's requests: `full` logs prompt and answer text, `features` only numbers, `none` neither.
        features_version: Of the quality models' features; every bundle that loads has the same.
        checker: Checks whole answers of those who let any content be logged; None: nobody does.
    """

    sink: TelemetrySink
    metrics: Metrics
    clock: Clock
    consent: ContentConsent
    features_version: int
    checker: OutcomeChecker | None = None

    def attempt_ended(self, call: Call, attempt: Attempt, outcome: Outcome, usage: TokenUsage | None) -> None:
        """Write the row; never waits and never raises."""
        lane = call.decision.table.lanes[attempt.row]
        total_ms = attempt.waited_ms
        cost_nusd = _cost_nusd(attempt, outcome, usage)
        overhead_ms = attempt.overhead_ms(attempt.first_byte) if attempt.first_byte is not None else None
        is_drawn = attempt.row == call.decision.order[0]
        content = self.consent.of(call.holder.account)
        has_features = content != "none" and call.prediction.features.size > 0  # none where the quality model failed
        self.metrics.note_attempt(lane.lane_id, outcome, cost_nusd, usage, attempt.ttft_ms, overhead_ms)
        self.sink.record(
            AttemptRow(
                request_id=call.request_id,
                attempt=attempt.number,
                started_at=call.started_at,
                account=call.holder.account,
                virtual_key_id=call.holder.virtual_key_id,
                conversation_id=call.conversation_id,
                tags=call.tags,
                endpoint=call.endpoint,
                is_streaming=call.is_streaming,
                features=call.prediction.features if has_features else None,
                features_version=self.features_version if has_features else None,
                prompt_text=call.context.text if content == "full" else None,
                answer_text=_answer_text(call, attempt) if content == "full" else None,
                prompt_characters=call.context.prompt_characters,
                n_turns=call.context.n_turns,
                candidates=candidate_table(call.decision),
                lane_id=lane.lane_id,
                provider=lane.provider,
                upstream_model=lane.upstream_model,
                vendor_model=lane.vendor_model,
                region=lane.region,
                propensity=call.decision.propensity if is_drawn else None,
                reason=attempt.reason.value,
                policy=call.decision.policy_name,
                router_version=call.router_version,
                price_snapshot_id=call.directory.price_snapshot_id,
                quality_bar=call.routing.preferences.quality_bar,
                willingness_to_pay_usd=call.routing.preferences.willingness_to_pay_usd,
                prompt_tokens=usage.prompt_tokens if usage else None,
                completion_tokens=usage.completion_tokens if usage else None,
                cached_tokens=usage.cached_tokens if usage else None,
                cache_write_tokens=usage.cache_write_tokens if usage else None,
                reasoning_tokens=usage.reasoning_tokens if usage else None,
                usage_is_estimated=usage.is_estimated if usage else False,
                cost_nusd=cost_nusd,
                ttft_ms=attempt.ttft_ms,
                total_ms=total_ms,
                overhead_ms=overhead_ms,
                status=attempt.status,
                outcome=outcome,
                finish_reason=_as_logged(attempt, attempt.finish_reason),
                error_code=_as_logged(attempt, attempt.error_code),
                upstream_request_id=_as_logged(attempt, attempt.upstream_request_id),
                quality_of_best=call.routing.preferences.quality_of_best,
                max_output_tokens=_as_int32(call.context.max_output_tokens),
            )
        )
        if self.checker is not None and outcome == "ok" and content != "none":
            self.checker.take(call, attempt)


def candidate_table(decision: Decision) -> CandidateTable:
    """Return the candidates of a decision as the log keeps them."""
    expected = decision.expectation
    return CandidateTable(
        lane_ids=decision.table.lane_ids,
        quality=expected.quality,
        quality_std=expected.quality_std,
        expected_completion_tokens=expected.completion_tokens,
        expected_cost_usd=expected.cost_usd,
        expected_latency_ms=expected.latency_ms,
        excluded_by=decision.exclusions.by_row(),
        probability=decision.probabilities,
        quality_shift=expected.quality_shift,
        account_shift=expected.account_shift,
        demotion=decision.demotion,
    )


def _answer_text(call: Call, attempt: Attempt) -> str | None:
    """Return what was said; of a stream it is read again from its pieces, which is for those alone who keep texts."""
    if attempt.answer_text is not None or not isinstance(attempt.answer_raw, list):
        return attempt.answer_text
    connection = call.connection(attempt.row)
    dialect = connection.dialect_for(call.inquiry.dialect)
    try:
        return read_answer_content(dialect, attempt.answer_raw, attempt.finish_reason, connection.quirks).text or None
    except (ValueError, KeyError):  # it broke off where it cannot be read, or it has no text
        return None


def _cost_nusd(attempt: Attempt, outcome: Outcome, usage: TokenUsage | None) -> int | None:
    """Return what the attempt cost: nothing where the provider refused it or was not reached, unknown where it fell silent."""
    if usage is not None:
        return attempt.cost_of(usage).total_nusd
    return 0 if outcome in UNCHARGED_OUTCOMES else None


def _as_int32(count: int | None) -> int | None:
    """Return a count as the log's column takes it: more than two thousand million tokens are as good as no limit."""
    return None if count is None else min(count, _LARGEST_INT32)


def _as_logged(attempt: Attempt, told: str | None) -> str | None:
    """Return a word of the provider's as it may be stored: short, without the key that it was sent, and without the NUL that PostgreSQL refuses."""
    if told is None or told in _USUAL_WORDS:
        return told
    # Redacted before it is cut: half a key is not recognised any more.
    return attempt.redacted(told)[:_MAX_TOLD_CHARACTERS].replace("\0", "")
