"""The state of the lanes at this moment: which ones rest, what is left of their limits, how fast they have been.

Attempts write it, decisions read it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.arrays import Floats
from router.expectation import LaneState
from router.lane_table import LaneTable
from serve.lanes.allowance import Allowances
from serve.lanes.rate_limit_headers import RateLimits
from serve.lanes.shared_rows import rows_that_share
from serve.lanes.statistics import LaneStatistics
from serve.upstream.upstream_terms import NO_TERMS, UpstreamTerms

DEFAULT_LIMIT_REST_S = 10.0
_FIRST_FAILURE_REST_S = 1.0
_LONGEST_FAILURE_REST_S = 60.0
_LONGEST_REST_S = 3_600.0


@dataclass(frozen=True, slots=True)
class LaneVitals:
    """One lane's state in figures, for the explanation of a decision and for `/metrics`.

    Args:
        rests_for_s: Seconds that the lane still rests; 0: it does not rest.
        ttft_ms: Expected milliseconds to its first token.
        ms_per_token: Expected milliseconds per output token.
        error_rate: Share of recent attempts that failed, 0..1.
        requests_left, tokens_left: Rest of its limits; None: not known.
    """

    rests_for_s: float
    ttft_ms: float
    ms_per_token: float
    error_rate: float
    requests_left: float | None
    tokens_left: float | None


class LaneHealth:
    """Cool-downs, limits and speeds of the lanes of one table.

    - A limit belongs to a provider's account, so it rests all lanes of its pool.
    - A refused provider key rests all lanes of its account.
    - A failure rests its lane alone, at every effort of reasoning.
    - Speeds and failure rates are measured at each effort.

    Args:
        table: The lanes.
        monotonic: Clock, in seconds that only go forward.
        terms: Terms of each lane, in the rows' order; None: nothing is known of any lane.
    """

    def __init__(
        self, table: LaneTable, monotonic: Callable[[], float], terms: Sequence[UpstreamTerms] | None = None
    ) -> None:
        terms = terms or [NO_TERMS] * len(table)
        pools = [term.pool_of(lane) for term, lane in zip(terms, table.lanes, strict=True)]
        index_of = {pool: index for index, pool in enumerate(dict.fromkeys(pools))}
        self._monotonic = monotonic
        self._statistics = LaneStatistics(table.typical_ttft_ms, table.typical_ms_per_token)
        self._rests_until = np.zeros(len(table))
        self._failures = [0] * len(table)
        self._nothing_cools = np.zeros(len(table), dtype=np.bool_)
        self._quiet_after = 0.0
        self._account_rows = rows_that_share([f"{lane.provider}/{lane.account}" for lane in table.lanes])
        self._pool_rows = rows_that_share(pools)
        self._effort_rows = rows_that_share([lane.base_id for lane in table.lanes])
        self._pool_of: npt.NDArray[np.intp] = np.array([index_of[pool] for pool in pools], dtype=np.intp)
        self._counts_max_output = np.array([term.counts_max_output for term in terms], dtype=np.bool_)
        self._pools = tuple(index_of)
        self._requests, self._tokens = Allowances(len(index_of)), Allowances(len(index_of))
        for pool, term in zip(self._pool_of, terms, strict=True):
            if term.requests_per_minute is not None:
                self._requests.set_per_minute(int(pool), term.requests_per_minute)
            if term.tokens_per_minute is not None:
                self._tokens.set_per_minute(int(pool), term.tokens_per_minute)

    @property
    def own(self) -> "LaneHealth":
        """The health of the lanes on the account's own keys: all of them here; see `HostedLaneHealth.own`."""
        return self

    def adopt(self, former: "LaneHealth", rows: Sequence[tuple[int, int]]) -> None:
        """Take over what is known of lanes, as (row here, row there), and of the pools that are in both."""
        for row, former_row in rows:
            self._rests_until[row] = former._rests_until[former_row]
            self._failures[row] = former._failures[former_row]
        for together in self._effort_rows:  # the former table may have had fewer efforts
            if len(together) > 1:
                self._rests_until[together] = self._rests_until[together].max()
        self._quiet_after = former._quiet_after
        self._statistics.adopt(former._statistics, rows)
        place = {pool: index for index, pool in enumerate(former._pools)}
        pools = [(index, place[pool]) for index, pool in enumerate(self._pools) if pool in place]
        self._requests.adopt(former._requests, pools)
        self._tokens.adopt(former._tokens, pools)

    def state(self) -> LaneState:
        """Return the present state, for one decision."""
        now = self._monotonic()
        is_cooling = self._nothing_cools if now >= self._quiet_after else self._rests_until > now
        if self._requests.is_known:
            is_cooling = is_cooling | (self._requests.left(now) < 1)[self._pool_of]
        ttft_ms, ms_per_token, error_rate = self._statistics.read(now)
        return LaneState(is_cooling, ttft_ms, ms_per_token, error_rate, self._tokens_left(now), self._counts_max_output)

    def may_be_asked(self, row: int, tokens: float) -> bool:
        """Return whether the lane in this row does not rest and has `tokens` left of its limits."""
        now = self._monotonic()
        if self._rests_until[row] > now or (
            self._requests.is_known and self._requests.left(now)[self._pool_of[row]] < 1
        ):
            return False
        left = self._tokens_left(now)
        return left is None or bool(left[row] >= tokens)

    def tokens_counted(self, row: int, prompt_tokens: int, expected_output: float, max_output: int | None) -> float:
        """Return the tokens that the provider counts for a request; see `router.eligibility.tokens_counted`."""
        counts_most = max_output is not None and self._counts_max_output[row]
        return prompt_tokens + float(max_output if counts_most and max_output is not None else expected_output)

    def seconds_until_any(self, tokens: float = 0.0) -> float | None:
        """Return the seconds until one more lane can be asked for `tokens`; None: all can be asked now."""
        return shortest_wait(self.seconds_until(row, tokens) for row in range(len(self._rests_until)))

    def seconds_until(self, row: int, tokens: float) -> float:
        """Return the seconds until the lane in this row can be asked for `tokens`; 0: it can be asked now."""
        now, pool = self._monotonic(), int(self._pool_of[row])
        rest_s = max(float(self._rests_until[row]) - now, 0.0)
        return max(rest_s, self._requests.seconds_until(pool, 1, now), self._tokens.seconds_until(pool, tokens, now))

    def vitals(self) -> list[LaneVitals]:
        """Return every lane's state in figures, in the rows' order."""
        now = self._monotonic()
        ttft_ms, ms_per_token, error_rate = self._statistics.read(now)
        rests = np.maximum(self._rests_until - now, 0.0)
        requests, tokens = self._requests.left(now)[self._pool_of], self._tokens.left(now)[self._pool_of]
        return [
            LaneVitals(
                rests_for_s=float(rests[row]),
                ttft_ms=float(ttft_ms[row]),
                ms_per_token=float(ms_per_token[row]),
                error_rate=float(error_rate[row]),
                requests_left=_if_known(requests[row]),
                tokens_left=_if_known(tokens[row]),
            )
            for row in range(len(rests))
        ]

    def note_sent(self, row: int, tokens: float) -> None:
        """Take a request out of the lane's limits before it is sent."""
        now, pool = self._monotonic(), int(self._pool_of[row])
        self._requests.take(pool, 1, now)
        self._tokens.take(pool, tokens, now)

    def note_answered(self, row: int, tokens: float, limits: RateLimits | None) -> None:
        """Note the limits in the head of a response, once for every request; None: no head came, or it says nothing."""
        now, pool = self._monotonic(), int(self._pool_of[row])
        self._requests.answered(pool, 1, None if limits is None else limits.requests, now)
        self._tokens.answered(pool, tokens, None if limits is None else limits.tokens, now)

    def note_used(self, row: int, tokens: float, used: float) -> None:
        """Put back the tokens that were taken for a request and not used."""
        if not self._counts_max_output[row]:
            self._tokens.settle(int(self._pool_of[row]), tokens, used, self._monotonic())

    def note_success(self, row: int, ttft_ms: float, total_ms: float, completion_tokens: int) -> None:
        """Note an answer: its speed, and that the lane works."""
        self._failures[self._effort_rows[row][0]] = 0
        self._statistics.note_answer(row, ttft_ms, total_ms, completion_tokens, self._monotonic())

    def note_slow(self, row: int, waited_ms: float) -> None:
        """Note that the first token takes longer than this."""
        self._statistics.note_slow(row, waited_ms, self._monotonic())

    def note_limit(self, row: int, retry_after_s: float | None) -> None:
        """Rest all lanes of the pool: the provider said that a limit was reached."""
        rest_s = DEFAULT_LIMIT_REST_S if retry_after_s is None else retry_after_s
        self._rest(self._pool_rows[row], rest_s)

    def note_refused_credentials(self, row: int) -> None:
        """Rest all lanes of the account: its provider key was refused, or has no credit left."""
        self._rest(self._account_rows[row], _LONGEST_FAILURE_REST_S)

    def note_refused_model(self, row: int) -> None:
        """Rest this lane at every effort: the account may not use its model, or the provider lacks it."""
        self._rest(self._effort_rows[row], _LONGEST_FAILURE_REST_S)

    def note_failure(self, row: int, retry_after_s: float | None = None) -> None:
        """Rest this lane at every effort, longer with every failure in a row."""
        self._statistics.note_error(row, self._monotonic())
        together = self._effort_rows[row]
        counted = together[0]  # the row that counts the failures at every effort
        rest_s = min(_FIRST_FAILURE_REST_S * 2 ** self._failures[counted], _LONGEST_FAILURE_REST_S)
        self._failures[counted] = min(self._failures[counted] + 1, 16)
        self._rest(together, max(rest_s, retry_after_s or 0.0))

    def _tokens_left(self, now: float) -> Floats | None:
        """Return the tokens that a request may need, per lane; None: no limit is known.

        Infinite while the limit is unused: then a request of any size is sent, and the provider decides.
        """
        if not self._tokens.is_known:
            return None
        left = self._tokens.left(now)
        return np.where(left >= self._tokens.limit(), np.inf, left)[self._pool_of]

    def _rest(self, rows: list[int], rest_s: float) -> None:
        until = self._monotonic() + min(max(rest_s, 0.0), _LONGEST_REST_S)
        self._rests_until[rows] = np.maximum(self._rests_until[rows], until)
        self._quiet_after = max(self._quiet_after, until)


def shortest_wait(waits_s: Iterable[float]) -> float | None:
    """Return the shortest wait above zero, at most an hour; None: there is no wait."""
    shortest = min((wait_s for wait_s in waits_s if wait_s > 0), default=None)
    return None if shortest is None else min(shortest, _LONGEST_REST_S)


def _if_known(left: float) -> float | None:
    return float(left) if np.isfinite(left) else None
