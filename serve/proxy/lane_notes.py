"""What one attempt reports to the lane's health, limits and caches."""

from router.price_table import TokenUsage
from serve.lanes.rate_limit_headers import RateLimits
from serve.proxy.attempt_timing import AttemptTiming
from serve.proxy.verdict import Verdict
from serve.routing.call import Call


class LaneNotes:
    """Notes what became of one attempt, where later decisions see it.

    Args:
        call: The request.
        row: Row of the lane in the decision's table.
    """

    __slots__ = ("_call", "_health", "_is_pending", "_row", "_tokens_taken")

    def __init__(self, call: Call, row: int) -> None:
        self._call = call
        self._health = call.directory.health
        self._row = row
        self._tokens_taken: float | None = None
        self._is_pending = False

    def note_sent(self) -> None:
        """Take the request out of the lane's limits."""
        self._tokens_taken = self._call.tokens_counted(self._row)
        self._is_pending = True
        self._health.note_sent(self._row, self._tokens_taken)

    def note_head(self, rate_limits: RateLimits | None) -> None:
        """Note the limits in the head of the response; None: it says nothing, or none came. The first call counts."""
        if self._is_pending and self._tokens_taken is not None:
            self._is_pending = False
            self._health.note_answered(self._row, self._tokens_taken, rate_limits)

    def note_failure(self, verdict: Verdict, retry_after_s: float | None) -> None:
        """Rest what the verdict says: the lane, its pool, or its account."""
        if verdict.rest == "account":
            self._health.note_limit(self._row, retry_after_s)
        elif verdict.rest == "credentials":
            self._health.note_refused_credentials(self._row)
        elif verdict.rest == "model":
            self._health.note_refused_model(self._row)
        elif verdict.rest == "lane":
            self._health.note_failure(self._row, retry_after_s)

    def note_slow(self, waited_ms: float) -> None:
        """Note that the answer had not begun after so long."""
        self._health.note_slow(self._row, waited_ms)

    def note_end(self, usage: TokenUsage | None) -> None:
        """Put back the tokens that were taken and not used; once, when the attempt ends."""
        if self._tokens_taken is not None:
            self.note_head(None)
            used = 0 if usage is None else usage.prompt_tokens + usage.completion_tokens
            self._health.note_used(self._row, self._tokens_taken, used)

    def note_answer(self, usage: TokenUsage, timing: AttemptTiming) -> None:
        """Note a whole answer: the lane's speed, and what the lane keeps of the conversation."""
        waited_ms = timing.waited_ms
        self._health.note_success(self._row, timing.ttft_ms or waited_ms, waited_ms, usage.completion_tokens)
        directory, conversation_id = self._call.directory, self._call.conversation_id
        directory.warm_caches.note_answer(conversation_id, self._row, usage)
        directory.reasoning_affinity.note_answer(conversation_id, self._row)
