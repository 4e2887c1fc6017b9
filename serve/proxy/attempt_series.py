"""The attempts of one call: which lane is asked next, for which reason, and the error when no lane is left."""

from collections.abc import Iterator
from dataclasses import dataclass

from router.reason import FALLBACK_BUDGET, FALLBACK_ERROR, FALLBACK_RATE_LIMITED, FALLBACK_SLOW, Reason
from serve.clock import Clock
from serve.errors import (
    AttemptSummary,
    BadRequestError,
    DatabaseAwayError,
    RequestError,
    UpstreamError,
    budget_spent_error,
)
from serve.money.hold import BudgetSpent, NotHeld
from serve.proxy.attempt import Attempt, AttemptFailed, AttemptObserver
from serve.proxy.refusal_judge import RefusalJudge
from serve.routing.call import Call

_REASONS = {"rate_limited": FALLBACK_RATE_LIMITED, "over_budget": FALLBACK_BUDGET}


@dataclass(frozen=True, slots=True)
class ProxyLimits:
    """How hard the proxy tries.

    Args:
        max_attempts: Most upstream calls per request, retries and fallbacks together.
        connect_retries: Most second tries on a lane that could not be reached.
        first_token_patience_s: Seconds that a stream may take to begin before another lane is asked; None: no limit.
        is_racing: Whether the slow lane goes on then, and the stream that begins first answers; False: it is given up.
    """

    max_attempts: int = 4
    connect_retries: int = 1
    first_token_patience_s: float | None = None
    is_racing: bool = True


class AttemptSeries:
    """One call's attempts: the decision's order of lanes, with a second try on a lane that could not be reached.

    Args:
        call: The request.
        limits: Limits on the attempts.
        clock: Clock of the attempts.
        observer: Observer of the attempts.
        judge: Judge of refusals; None: the status alone is judged.
    """

    def __init__(
        self,
        call: Call,
        limits: ProxyLimits,
        clock: Clock,
        observer: AttemptObserver,
        judge: RefusalJudge | None = None,
    ) -> None:
        self.call = call
        self._judge = judge
        self._clock = clock
        self._observer = observer
        self._rows: Iterator[int] = iter(call.decision.order if call.routing.may_fall_back else call.decision.order[:1])
        self._attempts_left = limits.max_attempts
        self._retries_left = limits.connect_retries
        self._n_started = 0
        self._retried_row: int | None = None
        self._last: AttemptFailed | None = None
        self._failures: list[AttemptSummary] = []
        self._first_refusal: tuple[AttemptFailed, str] | None = None
        self._are_all_the_callers_fault = True

    def next(self) -> Attempt | None:
        """Return the next attempt, not yet sent; None: no lane is left, or no attempt."""
        row = self._next_row() if self._attempts_left > 0 else None
        if row is None:
            return None
        self._attempts_left -= 1
        attempt = Attempt(self.call, row, self._n_started, self._reason(), self._clock, self._observer, self._judge)
        self._n_started += 1
        return attempt

    def note_failure(self, attempt: Attempt, failure: AttemptFailed) -> bool:
        """Take note of a failed attempt; return whether its lane is tried once more, after a pause.

        Raises:
            BadRequestError: The provider says that the request itself is wrong, so no other lane is asked.
            BudgetSpentError: A budget that pays for every lane is spent.
            DatabaseAwayError: The database does not say what is left of a budget that pays for every lane.
        """
        lane_id = self.call.decision.table.lanes[attempt.row].lane_id
        if not failure.verdict.may_fall_back:
            raise _callers_fault(failure, lane_id) from failure
        self._first_refusal = self._first_refusal or (failure, lane_id)
        self._are_all_the_callers_fault &= failure.verdict.is_callers_fault
        payers = self.call.spending.payers_of(self.call.connection(attempt.row), self.call.holder.account)
        if failure.not_held is not None and failure.not_held.scope not in payers:
            raise _not_held_error(failure.not_held) from failure
        if failure.not_held is not None:
            self._attempts_left += 1  # nothing was sent
        self._last = failure
        self._failures.append(AttemptSummary(lane_id, failure.status, failure.verdict.outcome, failure.verdict.code))
        if failure.verdict.outcome != "connect_error" or self._retries_left == 0:
            return False
        self._retries_left -= 1
        self._retried_row = attempt.row
        return True

    def all_failed(self) -> RequestError:
        """Return the error that lists the failed lanes.

        If every lane refused what the request says, it is the first refusal. If nothing but budgets refused, it names
        the budget.
        """
        failures = self._failures
        if self._first_refusal is not None and self._are_all_the_callers_fault:
            return _callers_fault(*self._first_refusal)
        if (
            self._last is not None
            and self._last.not_held is not None
            and {failure.outcome for failure in failures} == {"over_budget"}
        ):
            return _not_held_error(self._last.not_held)
        listed = ", ".join(f"{failure.lane}: {_cause(failure)}" for failure in failures)
        timed_out = bool(failures) and all(failure.outcome == "timeout" for failure in failures)
        wait_s = None if self._last is None else self._last.retry_after_s
        return UpstreamError(
            f"every attempted lane failed ({listed})",
            failures,
            status=504 if timed_out else 502,
            code="upstream_timeout" if timed_out else None,
            retry_after_s=None if wait_s is None else int(wait_s) + 1,
        )

    def _next_row(self) -> int | None:
        if self._retried_row is not None:
            row, self._retried_row = self._retried_row, None
            return row
        return next((row for row in self._rows if self._n_started == 0 or self._may_be_asked(row)), None)

    def _may_be_asked(self, row: int) -> bool:
        """Return whether the lane can still be asked.

        Since the decision it may have begun to rest, or its limits or its budget may be used up.
        """
        call = self.call
        if call.spending.is_spent(call.connection(row), call.context, call.holder.account, call.high_tokens(row)):
            return False
        return call.directory.health.may_be_asked(row, call.tokens_counted(row))

    def _reason(self) -> Reason:
        if self._n_started == 0:
            return self.call.decision.reason
        if self._last is None:
            return FALLBACK_SLOW
        return _REASONS.get(self._last.verdict.outcome, FALLBACK_ERROR)


_CAUSES = {
    "provider_key_refused": "the provider refuses its key. Check the key on the page of keys, or with 'llmdeal "
    "provider-keys test'",
    "no_credit": "its account at the provider has no credit",
    "model_refused": "its provider key may not use the model",
    "no_credentials": "its credentials cannot be used",
    "provider_full": "the provider has no free capacity",
    "request_over_limit": "the request is larger than a limit of its account",
}


def _cause(failure: AttemptSummary) -> str:
    return _CAUSES.get(failure.code, failure.outcome) if isinstance(failure.code, str) else failure.outcome


def _not_held_error(not_held: NotHeld) -> RequestError:
    if isinstance(not_held, BudgetSpent):
        return budget_spent_error(not_held.scope, not_held.resets_at)
    return DatabaseAwayError(
        f"what is left of the monthly budget of {not_held.scope} cannot be read now. Nothing was sent: try again"
    )


def _callers_fault(failure: AttemptFailed, lane_id: str) -> BadRequestError:
    code = "content_refused" if failure.verdict.code == "content_refused" else "upstream_refused_request"
    error = BadRequestError(
        f"{lane_id} refused the request: {failure.message}", code=code, param=failure.verdict.parameter
    )
    # A provider's 401 or 403 would send the caller looking for a wrong virtual key.
    error.status = failure.status if failure.status not in (None, 401, 403) else 400
    return error
