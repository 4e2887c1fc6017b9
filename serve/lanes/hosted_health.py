"""The health of an account's lanes where some are hosted, which means that they run on the operator's keys.

What is known of a hosted lane is the same for all accounts.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from router.arrays import Floats
from router.expectation import LaneState
from router.lane_table import LaneTable
from serve.lanes.health import LaneHealth, LaneVitals, shortest_wait
from serve.lanes.rate_limit_headers import RateLimits
from serve.upstream.upstream_terms import UpstreamTerms

Host = tuple[LaneTable, LaneHealth]
"""The operator's lanes, and their health."""


class HostedLaneHealth:
    """Cool-downs, limits and speeds of one account's lanes, with the methods of `LaneHealth`.

    Lanes on the account's own keys have a health of their own. A hosted lane has that of the operator's lane of the
    same id: a limit of the operator's key is one pool for all accounts, so one attempt rests the lane for all of them.

    Args:
        table, monotonic, terms: The same as for `LaneHealth`.
        hosted: Whether each row is hosted, in the rows' order.
        host: Returns the operator's lanes as they are now; their table may be another one later.
    """

    def __init__(
        self,
        table: LaneTable,
        monotonic: Callable[[], float],
        terms: Sequence[UpstreamTerms],
        hosted: Sequence[bool],
        host: Callable[[], Host],
    ) -> None:
        self.own = LaneHealth(table, monotonic, terms)
        """The health of the lanes on the account's own keys."""
        self._hosted_ids = [
            lane.lane_id if is_hosted else None for lane, is_hosted in zip(table.lanes, hosted, strict=True)
        ]
        self._host = host
        self._host_table: LaneTable | None = None
        self._host_rows: list[int | None] = []
        self._here: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._there: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def state(self) -> LaneState:
        """See `LaneHealth.state`."""
        host = self._host_health().state()
        own = self.own.state()
        here, there = self._here, self._there
        is_cooling, ttft_ms, ms_per_token = own.is_cooling.copy(), own.ttft_ms.copy(), own.ms_per_token.copy()
        is_cooling[here] = host.is_cooling[there]
        ttft_ms[here] = host.ttft_ms[there]
        ms_per_token[here] = host.ms_per_token[there]
        return replace(
            own,
            is_cooling=is_cooling,
            ttft_ms=ttft_ms,
            ms_per_token=ms_per_token,
            error_rate=self._merged(own.error_rate, host.error_rate, 0.0),
            tokens_left=self._merged(own.tokens_left, host.tokens_left, np.inf),
        )

    def vitals(self) -> list[LaneVitals]:
        """See `LaneHealth.vitals`."""
        host, own = self._host_health().vitals(), self.own.vitals()
        return [mine if row is None else host[row] for mine, row in zip(own, self._host_rows, strict=True)]

    def tokens_counted(self, row: int, prompt_tokens: int, expected_output: float, max_output: int | None) -> float:
        """See `LaneHealth.tokens_counted`."""
        return self.own.tokens_counted(row, prompt_tokens, expected_output, max_output)

    def may_be_asked(self, row: int, tokens: float) -> bool:
        """See `LaneHealth.may_be_asked`."""
        health, row = self._for(row)
        return health.may_be_asked(row, tokens)

    def seconds_until_any(self, tokens: float = 0.0) -> float | None:
        """See `LaneHealth.seconds_until_any`."""
        places = [self._for(row) for row in range(len(self._hosted_ids))]
        return shortest_wait(health.seconds_until(row, tokens) for health, row in places)

    def note_sent(self, row: int, tokens: float) -> None:
        """See `LaneHealth.note_sent`."""
        health, row = self._for(row)
        health.note_sent(row, tokens)

    def note_answered(self, row: int, tokens: float, limits: RateLimits | None) -> None:
        """See `LaneHealth.note_answered`."""
        health, row = self._for(row)
        health.note_answered(row, tokens, limits)

    def note_used(self, row: int, tokens: float, used: float) -> None:
        """See `LaneHealth.note_used`."""
        health, row = self._for(row)
        health.note_used(row, tokens, used)

    def note_success(self, row: int, ttft_ms: float, total_ms: float, completion_tokens: int) -> None:
        """See `LaneHealth.note_success`."""
        health, row = self._for(row)
        health.note_success(row, ttft_ms, total_ms, completion_tokens)

    def note_slow(self, row: int, waited_ms: float) -> None:
        """See `LaneHealth.note_slow`."""
        health, row = self._for(row)
        health.note_slow(row, waited_ms)

    def note_limit(self, row: int, retry_after_s: float | None) -> None:
        """See `LaneHealth.note_limit`."""
        health, row = self._for(row)
        health.note_limit(row, retry_after_s)

    def note_refused_credentials(self, row: int) -> None:
        """See `LaneHealth.note_refused_credentials`."""
        health, row = self._for(row)
        health.note_refused_credentials(row)

    def note_refused_model(self, row: int) -> None:
        """See `LaneHealth.note_refused_model`."""
        health, row = self._for(row)
        health.note_refused_model(row)

    def note_failure(self, row: int, retry_after_s: float | None = None) -> None:
        """See `LaneHealth.note_failure`."""
        health, row = self._for(row)
        health.note_failure(row, retry_after_s)

    def _for(self, row: int) -> tuple[LaneHealth, int]:
        """Return the health that the lane in this row belongs to, and its row there."""
        host = self._host_health()
        host_row = self._host_rows[row]
        return (self.own, row) if host_row is None else (host, host_row)

    def _host_health(self) -> LaneHealth:
        """Return the operator's health. If the operator's table was replaced, find the hosted lanes in it again."""
        table, health = self._host()
        if table is not self._host_table:
            self._host_rows = [None if lane_id is None else table.index_of.get(lane_id) for lane_id in self._hosted_ids]
            here = [row for row, there in enumerate(self._host_rows) if there is not None]
            self._here = np.array(here, dtype=np.intp)
            self._there = np.array([self._host_rows[row] for row in here], dtype=np.intp)
            self._host_table = table
        return health

    def _merged(self, own: Floats | None, host: Floats | None, unknown: float) -> Floats | None:
        if own is None and host is None:
            return None
        merged = np.full(len(self._hosted_ids), unknown) if own is None else own.copy()
        merged[self._here] = unknown if host is None else host[self._there]
        return merged


AnyLaneHealth = LaneHealth | HostedLaneHealth
