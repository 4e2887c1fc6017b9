"""One upstream call: opened, watched, closed exactly once, with its row written and the lane's health updated whatever happened."""

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Protocol

import msgspec

from router.price_table import Cost, TokenUsage
from router.reason import Reason
from router.telemetry_schema import Outcome
from serve.clock import Clock
from serve.dialects.exchange import Exchange
from serve.dialects.usage_estimate import estimate_usage
from serve.lanes.rate_limit_headers import RateLimits, read_rate_limits
from serve.money.hold import BudgetSpent, Hold, NotHeld
from serve.proxy.verdict import (
    BUDGET_AWAY,
    BUDGET_SPENT,
    CONNECT_FAILED,
    DEADLINE_PASSED,
    NO_CREDENTIALS,
    STREAM_BROKEN,
    Verdict,
    judge_refusal,
    read_retry_after,
    read_retry_delay,
)
from serve.redaction import redact, secrets_in
from serve.routing.call import Call
from serve.upstream.destination import Destination
from serve.upstream.signing.signer import CredentialsUnavailable
from serve.upstream.transport import ConnectFailed, DeadlinePassed, TransportError, UpstreamResponse

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
MOST_KEPT_PIECES = 16_384
"""Of a stream; a longer one is not looked at again."""
UNCHARGED_OUTCOMES = frozenset({"rate_limited", "connect_error", "upstream_error", "refused", "over_budget"})
"""How attempts end that cost nothing where the provider counts no tokens: it refused, or was not reached."""
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-generation-id", "cf-ray")


class AttemptFailed(Exception):  # noqa: N818 - reads as what happened
    """An attempt ended before its first byte reached the caller.

    Args:
        verdict: What it means.
        status: The provider's HTTP status; None: no head came.
        message: The provider's own words, redacted; for errors that the caller has to see.
        retry_after_s: How long the provider asks to wait; None: it does not say.
        not_held: The budget that did not stand for it, so that nothing was sent; None: something was.
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
    """Is told of every attempt that ended."""

    def attempt_ended(self, call: Call, attempt: "Attempt", outcome: Outcome, usage: TokenUsage | None) -> None:
        """Record it; never waits and never raises."""
        ...


class Attempt:
    """One upstream call of a request.

    Args:
        call: The request.
        row: The lane, as a row of the decision's table.
        number: 0 for the request's first attempt.
        reason: Why this lane.
        clock: For durations and dates.
        observer: Told once, at the end.
    """

    __slots__ = (
        "_clock",
        "_cost",
        "_hold",
        "_is_ended",
        "_is_pending",
        "_observer",
        "_own_headers",
        "_priced_usage",
        "_response",
        "_tokens_kept",
        "answer_raw",
        "answer_text",
        "call",
        "error_code",
        "exchange",
        "finish_reason",
        "first_byte",
        "number",
        "rate_limits",
        "reason",
        "row",
        "sent",
        "status",
        "upstream_headers",
        "upstream_request_id",
    )  # fmt: skip

    def __init__(
        self, call: Call, row: int, number: int, reason: Reason, clock: Clock, observer: AttemptObserver
    ) -> None:
        self.call = call
        self.row = row
        self.exchange: Exchange = call.exchange(row)
        self.number = number
        self.reason = reason
        self.sent = clock.monotonic()
        self.first_byte: float | None = None
        self.status: int | None = None
        self.finish_reason: str | None = None
        self.answer_text: str | None = None
        self.answer_raw: bytes | list[bytes] | None = None
        self.error_code: str | None = None
        self.upstream_headers: Mapping[str, str] = {}
        self.rate_limits: RateLimits | None = None
        self.upstream_request_id: str | None = None
        self._clock = clock
        self._observer = observer
        self._response: UpstreamResponse | None = None
        self._priced_usage: TokenUsage | None = None
        self._cost: Cost | None = None
        self._is_ended = False
        self._is_pending = False
        self._own_headers: Mapping[str, str] = _NO_HEADERS
        self._tokens_kept: float | None = None
        self._hold: Hold | None = None

    @property
    def waited_ms(self) -> float:
        """Milliseconds since the request was sent upstream."""
        return (self._clock.monotonic() - self.sent) * 1_000

    @property
    def ttft_ms(self) -> float | None:
        """Milliseconds to the first byte of the answer; None: there was none."""
        return None if self.first_byte is None else (self.first_byte - self.sent) * 1_000

    def overhead_ms(self, now: float) -> float:
        """Return our own milliseconds from the request's arrival until `now`, this attempt's wait for its first byte taken out."""
        return max((now - self.call.started) * 1_000 - (self.ttft_ms or 0.0), 0.0)

    def cost_of(self, usage: TokenUsage) -> Cost:
        """Return what these tokens cost on this lane. The caller, the headers and the log ask in turn: it is worked out once."""
        if self._cost is None or self._priced_usage is not usage:
            self._cost, self._priced_usage = self.call.cost(self.row, usage), usage
        return self._cost

    async def open(self) -> UpstreamResponse:
        """Send the request and return the response once its head says that it is an answer.

        Raises:
            AttemptFailed: It is not, or none came, or a budget has not enough left. The row is written and the lane's health updated.
            BadRequestError: The request is malformed where only translation looks; nothing was sent.
        """
        inquiry = self.call.inquiry
        connection = self.call.connection(self.row)
        body = self.exchange.encode_request(inquiry, connection.lane, connection.quirks)
        dialect = connection.dialect_for(inquiry.dialect)
        destination = connection.destination(dialect, is_streaming=inquiry.is_streaming)
        self._own_headers = own_headers = self._headers(dialect, destination, body)
        await self._take_hold()
        health = self.call.directory.health
        self._tokens_kept = kept = self.call.tokens_counted(self.row)
        health.note_sent(self.row, kept)
        self._is_pending = True
        self.sent = self._clock.monotonic()
        try:
            response = await connection.transport.post(destination, own_headers, body, connection.deadlines)
            self._response = response
            self.status = response.status
            answered = self.upstream_headers = response.headers
            self.rate_limits = read_rate_limits(answered, self._clock.now)
            self._no_longer_pending()
            self.upstream_request_id = next((answered[name] for name in _REQUEST_ID_HEADERS if name in answered), None)
            if response.status == 200:
                return response
            text = (await response.read(_MAX_ERROR_BYTES)).decode("utf-8", "replace")
        except TransportError as error:
            raise self.failed(verdict_on(error), str(error)) from None
        retry_after_s = read_retry_after(self.upstream_headers, self._clock.now)
        if retry_after_s is None:
            retry_after_s = read_retry_delay(text)
        verdict = judge_refusal(response.status, text, self.upstream_headers, connection.terms.refusals)
        raise self.failed(verdict, upstream_message(text), retry_after_s)

    async def read(self, response: UpstreamResponse) -> bytes:
        """Return the whole answer.

        Raises:
            AttemptFailed: It did not come to its end.
        """
        try:
            raw = await response.read(MAX_ANSWER_BYTES)
        except TransportError as error:
            raise self.failed(verdict_on(error), str(error)) from None
        self.first_byte = self._clock.monotonic()
        return raw

    async def first_chunk(self, chunks: AsyncIterator[bytes]) -> bytes:
        """Return the first bytes of a stream.

        Raises:
            AttemptFailed: There were none.
        """
        try:
            chunk = await anext(chunks, b"")
        except TransportError as error:
            raise self.failed(verdict_on(error), str(error)) from None
        if not chunk:
            raise self.failed(STREAM_BROKEN, "the stream ended before its first byte")
        self.first_byte = self._clock.monotonic()
        return chunk

    def _headers(self, dialect: str, destination: Destination, body: bytes) -> Mapping[str, str]:
        """Return the headers of this request alone: those that the caller passes on, and the signature."""
        call = self.call
        signer = call.connection(self.row).signer
        passed_headers = call.inquiry.passed_headers if dialect == call.inquiry.dialect else _NO_HEADERS
        if signer is None:
            return passed_headers
        try:
            signature = signer.sign(destination.url, {**destination.headers, **passed_headers}, body)
        except CredentialsUnavailable as error:
            raise self.failed(NO_CREDENTIALS, str(error)) from error
        return {**passed_headers, **signature}

    async def _take_hold(self) -> None:
        try:
            self._hold = await self.call.hold(self.row, self.number)
        except NotHeld as not_held:
            verdict = BUDGET_SPENT if isinstance(not_held, BudgetSpent) else BUDGET_AWAY
            raise self.failed(
                verdict, f"the budget of {not_held.scope} does not stand for it", not_held=not_held
            ) from None

    def failed(
        self, verdict: Verdict, message: str, retry_after_s: float | None = None, not_held: NotHeld | None = None
    ) -> AttemptFailed:
        """End the attempt, rest whoever has to, and return the error to raise."""
        self.error_code = verdict.code
        health = self.call.directory.health
        if verdict.rest == "account":
            health.note_limit(self.row, retry_after_s)
        elif verdict.rest == "credentials":
            health.note_refused_credentials(self.row)
        elif verdict.rest == "lane":
            health.note_failure(self.row, retry_after_s)
        self.end(verdict.outcome, None)
        return AttemptFailed(verdict, self.status, self.redacted(message), retry_after_s, not_held)

    def redacted(self, text: str) -> str:
        """Return words of the provider without the key that it was sent."""
        return redact(text, secrets_in({**self.call.connection(self.row).headers, **self._own_headers}))

    def end(self, outcome: Outcome, usage: TokenUsage | None) -> None:
        """Close the response and tell the observer. Only the first call counts."""
        if self._is_ended:
            return
        self._is_ended = True
        if self._response is not None:
            self._response.close()
        if usage is None and self._hold is not None and outcome not in UNCHARGED_OUTCOMES:
            # Nobody says what silence cost: the prompt may have been read.
            usage = estimate_usage(self.call.context.prompt_tokens, 0)
        if usage is not None:
            self.call.tokens_used += usage.prompt_tokens + usage.completion_tokens
        self._settle_limits(usage)
        self._settle_money(usage)
        if outcome == "ok" and usage is not None:
            ttft_ms = self.ttft_ms or self.waited_ms
            directory = self.call.directory
            directory.health.note_success(self.row, ttft_ms, self.waited_ms, usage.completion_tokens)
            directory.warm_caches.note_answer(self.call.conversation_id, self.row, usage)
            directory.thought_homes.note_answer(self.call.conversation_id, self.row)
        self._observer.attempt_ended(self.call, self, outcome, usage)

    def note_progress(self, usage: TokenUsage) -> None:
        """Write down what a stream has cost so far, in case that nobody comes to settle it."""
        if self._hold is not None:
            call = self.call
            call.spending.note_progress(self._hold, call.connection(self.row), usage, call.cost(self.row, usage))

    def _settle_money(self, usage: TokenUsage | None) -> None:
        if self._hold is not None:
            cost = None if usage is None else self.cost_of(usage)
            self.call.spending.settle(self._hold, self.call.connection(self.row), usage, cost)

    def _no_longer_pending(self) -> None:
        if self._is_pending and self._tokens_kept is not None:
            self._is_pending = False
            self.call.directory.health.note_answered(self.row, self._tokens_kept, self.rate_limits)

    def _settle_limits(self, usage: TokenUsage | None) -> None:
        if self._tokens_kept is not None:
            self._no_longer_pending()
            used = 0 if usage is None else usage.prompt_tokens + usage.completion_tokens
            self.call.directory.health.note_used(self.row, self._tokens_kept, used)


def verdict_on(error: TransportError) -> Verdict:
    """Return what a failure of the line means."""
    if isinstance(error, ConnectFailed):
        return CONNECT_FAILED
    return DEADLINE_PASSED if isinstance(error, DeadlinePassed) else STREAM_BROKEN


def upstream_message(text: str) -> str:
    """Return the provider's words from an error body: OpenAI's envelope, a bare `message` or `detail`, else its first line, cut."""
    try:
        body = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text.strip().partition("\n")[0][:300]
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or ""
    return str(error)[:1_000]
