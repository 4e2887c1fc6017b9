"""The health of an account's lanes, of which some run on the operator's keys: what is known of those is one and the same for all accounts."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from router.expectation import LaneState
from router.lane_table import Floats, LaneTable
from serve.lanes.health import LaneHealth, LaneVitals
from serve.lanes.rate_limit_headers import RateLimits
from serve.upstream.upstream_terms import UpstreamTerms

Host = tuple[LaneTable, LaneHealth]
"""The operator's lanes, and their health."""


class HostedLaneHealth(LaneHealth):
    """Cool-downs, limits and speeds of an account's own lanes; of hosted ones, those of the operator's lanes of the same name.

    A limit of the operator's key is one pool, whichever account uses it up: what one attempt learns rests the lane for all.

    Args:
        table, monotonic, terms: As in `LaneHealth`.
        hosted: Which rows are hosted.
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
        super().__init__(table, monotonic, terms)
        self._names = [lane.lane_id if is_hosted else None for lane, is_hosted in zip(table.lanes, hosted, strict=True)]
        self._host = host
        self._known_table: LaneTable | None = None
        self._host_rows: list[int | None] = []
        self._here: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._there: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def state(self) -> LaneState:
        """See `LaneHealth.state`."""
        own, host = super().state(), self._hosting().state()
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
        own, host = super().vitals(), self._hosting().vitals()
        return [mine if row is None else host[row] for mine, row in zip(own, self._host_rows, strict=True)]

    def may_be_asked(self, row: int, tokens: float) -> bool:
        """See `LaneHealth.may_be_asked`."""
        host, there = self._hosting(), self._host_rows[row]
        return super().may_be_asked(row, tokens) if there is None else host.may_be_asked(there, tokens)

    def note_sent(self, row: int, tokens: float) -> None:
        """See `LaneHealth.note_sent`."""
        host, there = self._hosting(), self._host_rows[row]
        if there is None:
            super().note_sent(row, tokens)
        else:
            host.note_sent(there, tokens)

    def note_answered(self, row: int, tokens: float, told: RateLimits | None) -> None:
        """See `LaneHealth.note_answered`."""
        host, there = self._hosting(), self._host_rows[row]
        if there is None:
            super().note_answered(row, tokens, told)
        else:
            host.note_answered(there, tokens, told)

    def note_used(self, row: int, tokens: float, used: float) -> None:
        """See `LaneHealth.note_used`."""
        host, there = self._hosting(), self._host_rows[row]
        if there is None:
            super().note_used(row, tokens, used)
        else:
            host.note_used(there, tokens, used)

    def note_success(self, row: int, ttft_ms: float, total_ms: float, completion_tokens: int) -> None:
        """See `LaneHealth.note_success`."""
        host, there = self._hosting(), self._host_rows[row]
        if there is None:
            super().note_success(row, ttft_ms, total_ms, completion_tokens)
        else:
            host.note_success(there, ttft_ms, total_ms, completion_tokens)

    def note_slow(self, row: int, waited_ms: float) -> None:
        """See `LaneHealth.note_slow`."""
        host, there = self._hosting(), self._host_rows[row]
        if there is None:
            super().note_slow(row, waited_ms)
        else:
            host.note_slow(there, waited_ms)

    def note_limit(self, row: int, retry_after_s: float | None) -> None:
        """See `LaneHealth.note_limit`."""
        host, there = self._hosting(), self._host_rows[row]
        if there is None:
            super().note_limit(row, retry_after_s)
        else:
            host.note_limit(there, retry_after_s)

    def note_refused_credentials(self, row: int) -> None:
        """See `LaneHealth.note_refused_credentials`."""
        host, there = self._hosting(), self._host_rows[row]
        if there is None:
            super().note_refused_credentials(row)
        else:
            host.note_refused_credentials(there)

    def note_failure(self, row: int, retry_after_s: float | None = None) -> None:
        """See `LaneHealth.note_failure`."""
        host, there = self._hosting(), self._host_rows[row]
        if there is None:
            super().note_failure(row, retry_after_s)
        else:
            host.note_failure(there, retry_after_s)

    def _wait_s(self, row: int, tokens: float, now: float) -> float:
        host, there = self._hosting(), self._host_rows[row]
        return super()._wait_s(row, tokens, now) if there is None else host._wait_s(there, tokens, now)

    def _merged(self, own: Floats | None, host: Floats | None, unknown: float) -> Floats | None:
        if own is None and host is None:
            return None
        merged = np.full(len(self._names), unknown) if own is None else own.copy()
        merged[self._here] = unknown if host is None else host[self._there]
        return merged

    def _hosting(self) -> LaneHealth:
        """Return the operator's health, and see where the hosted lanes stand in it if its table is another one now."""
        table, health = self._host()
        if table is not self._known_table:
            self._host_rows = [None if name is None else table.index_of.get(name) for name in self._names]
            here = [row for row, there in enumerate(self._host_rows) if there is not None]
            self._here = np.array(here, dtype=np.intp)
            self._there = np.array([self._host_rows[row] for row in here], dtype=np.intp)
            self._known_table = table
        return health
