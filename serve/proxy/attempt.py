"""One upstream call: it is opened, watched, and ended exactly once, whatever happens.

The end closes the response, settles the money, updates the lane's health, and writes the log.
"""

import re
from collections.abc import Mapping
from typing import Protocol

from router.price_table import TokenUsage
from router.reason import Reason
from router.telemetry_schema import Outcome
from serve.clock import Clock
from serve.dialects.exchange import Exchange
from serve.money.hold import BudgetSpent, NotHeld
from serve.proxy.attempt_money import AttemptMoney
from serve.proxy.attempt_timing import AttemptTiming
from serve.proxy.lane_notes import LaneNotes
from serve.proxy.refusal_judge import RefusalJudge
from serve.proxy.upstream_answer import NO_HEADERS, UpstreamAnswer
from serve.proxy.verdict import (
    BUDGET_AWAY,
    BUDGET_SPENT,
    CONNECT_FAILED,
    DEADLINE_PASSED,
    NO_CREDENTIALS,
    NOT_AN_ANSWER,
    STREAM_BROKEN,
    Verdict,
    read_retry_after,
)
from serve.redaction import redact, secrets_in
from serve.routing.call import Call
from serve.upstream.destination import Destination
from serve.upstream.refusals import read_provider_error
from serve.upstream.signing.signer import CredentialsUnavailable
from serve.upstream.transport import ConnectFailed, DeadlinePassed, TransportError, UpstreamResponse

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_IS_STATUS = re.compile("[45][0-9][0-9]")


class AttemptFailed(Exception):  # noqa: N818 - reads as what happened
    """An attempt ended before its first byte reached the caller.

    Args:
        verdict: Meaning of the failure.
        status: HTTP status of the provider; None: no head came.
        message: Words of the provider, redacted, for errors that the caller has to see.
        retry_after_s: Seconds that the provider asks to wait; None: it does not say.
        not_held: Budget that has not enough left, so nothing was sent; None: the request was sent.
    """

    def __init__(
        self,
        verdict: Verdict,
        status: int | None,
        message: str,
        retry_after_s: float | None = None,
        not_held: NotHeld | None = None,
    ) -> None:
        super().__init__(verdict.code)
        self.verdict = verdict
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s
        self.not_held = not_held


class AttemptObserver(Protocol):
    """Observes every attempt that ends."""

    def attempt_ended(self, call: Call, attempt: "Attempt", outcome: Outcome, usage: TokenUsage | None) -> None:
        """Record it; never waits and never raises."""
        ...


class Attempt:
    """One upstream call of a request.

    Its parts are `timing` (the moments), `money` (the hold), `lane_notes` (what the lane learns from it) and `answer`
    (what the provider said). Whatever happens, `end` ends it; only the first call of `end` counts.

    Args:
        call: The request.
        row: Row of the lane in the decision's table.
        number: Number of the attempt; 0 for the request's first one.
        reason: Reason for which this lane is asked.
        clock: Clock for durations and dates.
        observer: Observer of the end.
        judge: Judge of what the provider answers instead of an answer.
    """

    __slots__ = (
        "_clock",
        "_is_ended",
        "_judge",
        "_observer",
        "_own_headers",
        "_response",
        "answer",
        "call",
        "error_code",
        "exchange",
        "lane_notes",
        "money",
        "number",
        "reason",
        "row",
        "timing",
    )

    def __init__(
        self,
        call: Call,
        row: int,
        number: int,
        reason: Reason,
        clock: Clock,
        observer: AttemptObserver,
        judge: RefusalJudge | None = None,
    ) -> None:
        self.call = call
        self.row = row
        self.number = number
        self.reason = reason
        self.exchange: Exchange = call.exchange(row)
        self.timing = AttemptTiming(clock, call.started)
        self.money = AttemptMoney(call, row, number)
        self.lane_notes = LaneNotes(call, row)
        self.answer = UpstreamAnswer()
        self.error_code: str | None = None
        self._clock = clock
        self._observer = observer
        self._judge = judge or RefusalJudge()
        self._own_headers = NO_HEADERS
        self._response: UpstreamResponse | None = None
        self._is_ended = False

    async def open(self) -> UpstreamResponse:
        """Send the request and return the response once its head says that it is an answer.

        Raises:
            AttemptFailed: It is no answer, or none came, or a budget has not enough left. The attempt has ended.
            BadRequestError: The request is malformed in a part that only translation reads; nothing was sent.
        """
        inquiry = self.call.inquiry
        connection = self.call.connection(self.row)
        body = self.exchange.encode_request(inquiry, connection.lane, connection.quirks)
        dialect = self.call.dialect(self.row)
        destination = connection.destination(dialect, is_streaming=inquiry.is_streaming)
        self._own_headers = own_headers = self._headers(dialect, destination, body)
        try:
            await self.money.hold()
        except NotHeld as not_held:
            raise self._failed_for_money(not_held) from not_held
        self.lane_notes.note_sent()
        self.timing.note_sent()
        answer = self.answer
        try:
            response = await connection.transport.post(destination, own_headers, body, connection.deadlines)
            self._response = response
            answer.read_head(response, self._clock)
            self.lane_notes.note_head(answer.rate_limits)
            if response.status == 200:
                return response
            text = (await response.read(_MAX_ERROR_BYTES)).decode("utf-8", "replace")
        except TransportError as error:
            raise self.failed(verdict_on(error), str(error)) from error
        error_body = read_provider_error(text, answer.headers)
        retry_after_s = read_retry_after(answer.headers, self._clock.now)
        if retry_after_s is None:
            retry_after_s = error_body.retry_delay_s
        verdict = self._judge.judge(response.status, error_body, connection.lane, inquiry.body)
        raise self.failed(verdict, error_body.message, retry_after_s)

    async def read(self, response: UpstreamResponse) -> bytes:
        """Return the whole answer.

        Raises:
            AttemptFailed: The answer did not come to its end.
        """
        try:
            raw = await response.read(MAX_ANSWER_BYTES)
        except TransportError as error:
            raise self.transport_failed(error) from error
        self.timing.note_first_byte()
        return raw

    def transport_failed(self, error: TransportError) -> AttemptFailed:
        """End the attempt after a failure of the connection, and return the error to raise."""
        return self.failed(verdict_on(error), str(error))

    def failed_inside(self, text: str, otherwise: str, verdict: Verdict = NOT_AN_ANSWER) -> AttemptFailed:
        """End the attempt after an error that came with status 200, and return the error to raise.

        Args:
            text: Error of the provider, or what it sent instead of an answer.
            otherwise: Words for the error if the provider gave none.
            verdict: Verdict if the table of refusals knows nothing about the error.
        """
        error_body = read_provider_error(text, self.answer.headers)
        status = next((int(word) for word in error_body.words if _IS_STATUS.fullmatch(word)), None)
        lane, given = self.call.connection(self.row).lane, self.call.inquiry.body
        judged = self._judge.judge_inside(status, error_body, lane, given)
        return self.failed(judged or verdict, f"{otherwise}: {error_body.message}" if error_body.message else otherwise)

    def failed(
        self, verdict: Verdict, message: str, retry_after_s: float | None = None, not_held: NotHeld | None = None
    ) -> AttemptFailed:
        """End the attempt, rest what the verdict says, and return the error to raise."""
        self.error_code = verdict.code
        self.lane_notes.note_failure(verdict, retry_after_s)
        self.end(verdict.outcome, None)
        words = self.redacted(message)
        if verdict.rest == "credentials":
            self._judge.note_key(self.call.holder.account, self.call.connection(self.row).lane, verdict, words)
        return AttemptFailed(verdict, self.answer.status, words, retry_after_s, not_held)

    def redacted(self, text: str) -> str:
        """Return words of the provider without the credentials that the request carried."""
        return redact(text, secrets_in({**self.call.connection(self.row).headers, **self._own_headers}))

    def end(self, outcome: Outcome, usage: TokenUsage | None) -> None:
        """Close the response, settle, and call the observer. Only the first call counts."""
        if self._is_ended:
            return
        self._is_ended = True
        if self._response is not None:
            self._response.close()
        usage = self.money.usage_to_charge(outcome, usage)
        if usage is not None:
            self.call.tokens_used += usage.prompt_tokens + usage.completion_tokens
        self.lane_notes.note_end(usage)
        self.money.settle(usage)
        if outcome == "ok" and usage is not None:
            self.lane_notes.note_answer(usage, self.timing)
            self._judge.note_answer(self.call.holder.account, self.call.connection(self.row).lane)
        self._observer.attempt_ended(self.call, self, outcome, usage)

    def _headers(self, dialect: str, destination: Destination, body: bytes) -> Mapping[str, str]:
        """Return the headers of this request alone: those that the caller passes on, and the signature."""
        call = self.call
        signer = call.connection(self.row).signer
        passed_headers = call.inquiry.passed_headers if dialect == call.inquiry.dialect else NO_HEADERS
        if signer is None:
            return passed_headers
        try:
            signature = signer.sign(destination.url, {**destination.headers, **passed_headers}, body)
        except CredentialsUnavailable as error:
            raise self.failed(NO_CREDENTIALS, str(error)) from error
        return {**passed_headers, **signature}

    def _failed_for_money(self, not_held: NotHeld) -> AttemptFailed:
        verdict = BUDGET_SPENT if isinstance(not_held, BudgetSpent) else BUDGET_AWAY
        return self.failed(verdict, f"the budget of {not_held.scope} could not be held", not_held=not_held)


def verdict_on(error: TransportError) -> Verdict:
    """Return what a failure of the connection means."""
    if isinstance(error, ConnectFailed):
        return CONNECT_FAILED
    return DEADLINE_PASSED if isinstance(error, DeadlinePassed) else STREAM_BROKEN
