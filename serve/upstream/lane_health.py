"""What is known of the lanes at this moment: which ones rest, and how fast they have been. Written by attempts, read by decisions."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from router.expectation import LaneState
from router.lane_table import LaneTable

# Weight of a new timing in the running mean: the last twenty answers or so count.
_SMOOTHING = 0.1
DEFAULT_LIMIT_REST_S = 10.0
_FIRST_FAILURE_REST_S = 1.0
_LONGEST_FAILURE_REST_S = 60.0
_LONGEST_REST_S = 3_600.0


class LaneHealth:
    """Cool-downs and speeds of the lanes of one table.

    Rate limits belong to a provider's account, so a limit rests all lanes of that account; a failure rests its lane alone.

    Args:
        table: The lanes.
        monotonic: Seconds that only go forward.
    """

    def __init__(self, table: LaneTable, monotonic: Callable[[], float]) -> None:
        self._table = table
        self._monotonic = monotonic
        self._ttft_ms = table.typical_ttft_ms.copy()
        self._ms_per_token = table.typical_ms_per_token.copy()
        self._rests_until = np.zeros(len(table))
        self._failures = [0] * len(table)
        self._rows_of_account: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row, lane in enumerate(table.lanes):
            self._rows_of_account[lane.provider, lane.account].append(row)
        self._nothing_cools = np.zeros(len(table), dtype=np.bool_)
        self._quiet_after = 0.0

    def state(self) -> LaneState:
        """Return the present state, for one decision."""
        now = self._monotonic()
        is_cooling = self._nothing_cools if now >= self._quiet_after else self._rests_until > now
        return LaneState(is_cooling, self._ttft_ms, self._ms_per_token)

    def is_cooling(self, row: int) -> bool:
        """Return whether the lane in this row rests now."""
        return bool(self._rests_until[row] > self._monotonic())

    def seconds_until_any(self) -> float | None:
        """Return how long until the first resting lane is back; None when none rests."""
        now = self._monotonic()
        ends = self._rests_until[self._rests_until > now]
        return float(ends.min() - now) if len(ends) else None

    def note_success(self, row: int, ttft_ms: float, total_ms: float, completion_tokens: int) -> None:
        """Learn from an answer: its speed, and that the lane works."""
        self._failures[row] = 0
        self._ttft_ms[row] += _SMOOTHING * (ttft_ms - self._ttft_ms[row])
        if completion_tokens > 1:
            ms_per_token = max(total_ms - ttft_ms, 0.0) / completion_tokens
            self._ms_per_token[row] += _SMOOTHING * (ms_per_token - self._ms_per_token[row])

    def note_limit(self, row: int, retry_after_s: float | None) -> None:
        """Rest the whole account of this lane: its provider said that a limit was reached."""
        lane = self._table.lanes[row]
        rest_s = DEFAULT_LIMIT_REST_S if retry_after_s is None else retry_after_s
        self._rest(self._rows_of_account[lane.provider, lane.account], rest_s)

    def note_refused_credentials(self, row: int) -> None:
        """Rest the whole account of this lane: its provider key was refused, or has no credit left."""
        lane = self._table.lanes[row]
        self._rest(self._rows_of_account[lane.provider, lane.account], _LONGEST_FAILURE_REST_S)

    def note_failure(self, row: int, retry_after_s: float | None = None) -> None:
        """Rest this lane, longer with every failure in a row."""
        rest_s = min(_FIRST_FAILURE_REST_S * 2 ** self._failures[row], _LONGEST_FAILURE_REST_S)
        self._failures[row] = min(self._failures[row] + 1, 16)
        self._rest([row], max(rest_s, retry_after_s or 0.0))

    def _rest(self, rows: list[int], rest_s: float) -> None:
        until = self._monotonic() + min(max(rest_s, 0.0), _LONGEST_REST_S)
        self._rests_until[rows] = np.maximum(self._rests_until[rows], until)
        self._quiet_after = max(self._quiet_after, until)
