"""Records each attempt that ended: a telemetry row, the metrics, and its answer for the checks."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from router.arrays import Rows
from router.decision import Decision
from router.price_table import TokenUsage
from router.telemetry_schema import AttemptRow, CandidateTable, FeedbackRow, Outcome
from serve.clock import Clock
from serve.identity.content_consent import ContentConsent
from serve.metrics import Metrics
from serve.outcome_checks.answer_content import read_answer_content
from serve.outcome_checks.checker import OutcomeChecker
from serve.proxy.attempt import Attempt
from serve.proxy.attempt_money import UNCHARGED_OUTCOMES
from serve.routing.call import Call
from serve.settings import ContentLogging

Number = TypeVar("Number", bound=np.generic)

_MAX_WORD_CHARACTERS = 200
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
        sink: Sink for the rows.
        metrics: Counters.
        clock: Time.
        consent: Limit of what is logged of an account's requests: `full` logs prompt and answer text, `features` only
            numbers, `none` neither.
        features_version: Version of the quality models' features; every bundle that loads has the same.
        checker: Checker of the answers of accounts that let any content be logged; None: answers are not checked.
    """

    sink: TelemetrySink
    metrics: Metrics
    clock: Clock
    consent: ContentConsent
    features_version: int
    checker: OutcomeChecker | None = None

    def attempt_ended(self, call: Call, attempt: Attempt, outcome: Outcome, usage: TokenUsage | None) -> None:
        """Record an attempt; never waits and never raises."""
        lane_id = call.decision.table.lanes[attempt.row].lane_id
        cost_nusd = _cost_nusd(attempt, outcome, usage)
        overhead_ms = (
            attempt.timing.overhead_ms(attempt.timing.first_byte) if attempt.timing.first_byte is not None else None
        )
        content = self.consent.of(call.holder.account)
        self.metrics.note_attempt(lane_id, outcome, cost_nusd, usage, attempt.timing.ttft_ms, overhead_ms)
        self.sink.record(self._row(call, attempt, outcome, usage, cost_nusd, overhead_ms, content))
        if self.checker is not None and outcome == "ok" and content != "none":
            self.checker.take(call, attempt)

    def _row(
        self,
        call: Call,
        attempt: Attempt,
        outcome: Outcome,
        usage: TokenUsage | None,
        cost_nusd: int | None,
        overhead_ms: float | None,
        content: ContentLogging,
    ) -> AttemptRow:
        lane = call.decision.table.lanes[attempt.row]
        is_drawn = attempt.row == call.decision.order[0]
        has_features = content != "none" and call.prediction.features.size > 0  # none if the quality model failed
        return AttemptRow(
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
            candidates=candidate_table(call.decision, call.listed_rows()),
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
            ttft_ms=attempt.timing.ttft_ms,
            total_ms=attempt.timing.waited_ms,
            overhead_ms=overhead_ms,
            status=attempt.answer.status,
            outcome=outcome,
            finish_reason=_as_logged(attempt, attempt.answer.finish_reason),
            error_code=_as_logged(attempt, attempt.error_code),
            upstream_request_id=_as_logged(attempt, attempt.answer.request_id),
            quality_of_best=call.routing.preferences.quality_of_best,
            max_output_tokens=_as_int32(call.context.max_output_tokens),
            service_tier=_as_logged(attempt, usage.service_tier or call.context.service_tier) if usage else None,
            web_searches=usage.web_searches if usage else None,
            stated_effort=call.context.effort,
        )


def candidate_table(decision: Decision, rows: Rows | None = None) -> CandidateTable:
    """Return the candidates of a decision as the log keeps them.

    Args:
        decision: The decision.
        rows: Rows of the candidates, ascending; None: all.
    """
    expected, excluded_by = decision.expectation, decision.exclusions.by_row()
    if rows is None or len(rows) == len(decision.table):
        lane_ids = decision.table.lane_ids
        chosen: Rows | slice = slice(None)  # views instead of copies
    else:
        chosen = rows
        lane_ids = tuple(decision.table.lane_ids[row] for row in rows)
        excluded_by = {place: excluded_by[row] for place, row in enumerate(rows.tolist()) if row in excluded_by}

    def of_rows(column: npt.NDArray[Number] | None) -> npt.NDArray[Number] | None:
        return None if column is None else column[chosen]

    return CandidateTable(
        lane_ids=lane_ids,
        quality=expected.quality[chosen],
        quality_std=expected.quality_std[chosen],
        expected_completion_tokens=expected.completion_tokens[chosen],
        expected_cost_usd=expected.cost_usd[chosen],
        expected_latency_ms=expected.latency_ms[chosen],
        excluded_by=excluded_by,
        probability=decision.probabilities[chosen],
        quality_shift=of_rows(expected.quality_shift),
        account_shift=of_rows(expected.account_shift),
        fallback_tier=of_rows(decision.fallback_tier),
    )


def _answer_text(call: Call, attempt: Attempt) -> str | None:
    """Return the text of an answer. The text of a stream is read from its pieces, only if texts are logged."""
    if attempt.answer.text is not None or not isinstance(attempt.answer.raw, list):
        return attempt.answer.text
    connection = call.connection(attempt.row)
    dialect = call.dialect(attempt.row)
    try:
        return (
            read_answer_content(dialect, attempt.answer.raw, attempt.answer.finish_reason, connection.quirks).text
            or None
        )
    except (ValueError, KeyError):  # the stream broke off where it cannot be read, or it has no text
        return None


def _cost_nusd(attempt: Attempt, outcome: Outcome, usage: TokenUsage | None) -> int | None:
    """Return what the attempt cost: 0 if the provider refused it or was not reached, None if the answer broke off."""
    if usage is not None:
        return attempt.money.cost_of(usage).total_nusd
    return 0 if outcome in UNCHARGED_OUTCOMES else None


def _as_int32(count: int | None) -> int | None:
    """Return a count that fits the column of the log; a limit above two thousand million tokens is no limit."""
    return None if count is None else min(count, _LARGEST_INT32)


def _as_logged(attempt: Attempt, word: str | None) -> str | None:
    """Return a word of the provider that may be stored: short, without provider keys, and without NUL."""
    if word is None or word in _USUAL_WORDS:
        return word
    # Redacted before it is cut, because half a key cannot be recognised.
    return attempt.redacted(word)[:_MAX_WORD_CHARACTERS].replace("\0", "")
