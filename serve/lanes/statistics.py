"""How fast each lane has been and how often it failed, the recent past counting most."""

from collections.abc import Sequence

import numpy as np

from router.arrays import Floats

HALF_LIFE_S = 600.0
"""An observation of ten minutes ago counts half."""
# The weight of at most twenty observations, so that a changed lane is measured again after a few dozen answers.
_LARGEST_WEIGHT = 20.0
# One measured speed counts more than an assumed one; one failure does not make a failing lane.
_TYPICAL_WEIGHT = 0.1
_NO_ERROR_WEIGHT = 4.0


class DecayedMeans:
    """One figure per lane: a mean whose observations lose half their weight with every half-life.

    Args:
        prior: Values before anything was observed, shape (n_lanes,).
        prior_weight: Number of observations that the prior counts as.
    """

    def __init__(self, prior: Floats, prior_weight: float) -> None:
        self._prior = prior
        self._prior_weight = prior_weight
        self._mean = prior.copy()
        self._weight = np.zeros(len(prior))
        self._at_s = np.zeros(len(prior))

    def adopt(self, former: "DecayedMeans", rows: Sequence[tuple[int, int]]) -> None:
        """Take over the observations of lanes, as (row here, row there)."""
        for row, former_row in rows:
            self._mean[row] = former._mean[former_row]
            self._weight[row] = former._weight[former_row]
            self._at_s[row] = former._at_s[former_row]

    def note(self, row: int, value: float, now_s: float) -> None:
        """Add one observation."""
        weight = self._weight[row] * 0.5 ** ((now_s - self._at_s[row]) / HALF_LIFE_S)
        weight = min(weight, _LARGEST_WEIGHT - 1)
        self._mean[row] = (self._mean[row] * weight + value) / (weight + 1)
        self._weight[row] = weight + 1
        self._at_s[row] = now_s

    def read(self, now_s: float) -> Floats:
        """Return the means, shape (n_lanes,); as observations lose weight, a mean moves back to its prior."""
        weight = self._weight * np.exp2((self._at_s - now_s) / HALF_LIFE_S)
        return (self._mean * weight + self._prior * self._prior_weight) / (weight + self._prior_weight)


class LaneStatistics:
    """Speeds and failures of all lanes.

    Args:
        typical_ttft_ms, typical_ms_per_token: Assumed speeds of lanes that were never timed, shape (n_lanes,).
    """

    # To read costs a few microseconds, so decisions shortly after each other share one reading.
    _FRESH_S = 0.1

    def __init__(self, typical_ttft_ms: Floats, typical_ms_per_token: Floats) -> None:
        self._ttft_ms = DecayedMeans(typical_ttft_ms, _TYPICAL_WEIGHT)
        self._ms_per_token = DecayedMeans(typical_ms_per_token, _TYPICAL_WEIGHT)
        self._error_rate = DecayedMeans(np.zeros(len(typical_ttft_ms)), _NO_ERROR_WEIGHT)
        self._read_at_s = -np.inf
        self._reading: tuple[Floats, Floats, Floats] = (
            typical_ttft_ms,
            typical_ms_per_token,
            np.zeros(len(typical_ttft_ms)),
        )

    def adopt(self, former: "LaneStatistics", rows: Sequence[tuple[int, int]]) -> None:
        """Take over the observations of lanes, as (row here, row there)."""
        self._ttft_ms.adopt(former._ttft_ms, rows)
        self._ms_per_token.adopt(former._ms_per_token, rows)
        self._error_rate.adopt(former._error_rate, rows)

    def note_answer(self, row: int, ttft_ms: float, total_ms: float, completion_tokens: int, now_s: float) -> None:
        """Note an answer: the lane works, and this fast."""
        self._error_rate.note(row, 0.0, now_s)
        self._ttft_ms.note(row, ttft_ms, now_s)
        if completion_tokens > 1:
            self._ms_per_token.note(row, max(total_ms - ttft_ms, 0.0) / completion_tokens, now_s)

    def note_slow(self, row: int, waited_ms: float, now_s: float) -> None:
        """Note that an answer had not begun after so long; ignored if the lane is expected to take longer anyway."""
        if waited_ms > self._ttft_ms.read(now_s)[row]:
            self._ttft_ms.note(row, waited_ms, now_s)

    def note_error(self, row: int, now_s: float) -> None:
        """Note an attempt that failed for a reason that lies with the lane."""
        self._error_rate.note(row, 1.0, now_s)

    def read(self, now_s: float) -> tuple[Floats, Floats, Floats]:
        """Return (ms to the first token, ms per token, share of failures 0..1), each of shape (n_lanes,)."""
        if now_s - self._read_at_s >= self._FRESH_S:
            self._reading = (self._ttft_ms.read(now_s), self._ms_per_token.read(now_s), self._error_rate.read(now_s))
            self._read_at_s = now_s
        return self._reading
