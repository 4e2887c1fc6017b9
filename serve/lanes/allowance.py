"""What is left of the limits of each provider's account, as far as settings and response headers say.

The tokens of a request are taken out before it is sent.
"""

import math
from collections.abc import Sequence

import numpy as np

from router.arrays import Floats
from serve.lanes.rate_limit_headers import Window

_MINUTE_S = 60.0


class Allowances:
    """One limit (requests, or tokens) of every pool: a bucket that fills evenly until it holds the limit again.

    A request is taken out when it is sent. It is pending until its response says what is left now: the provider's
    figure does not count other requests that are still pending. If the operator set the limit and the provider says
    nothing, the difference between what was taken and what was used is put back.

    Args:
        n_pools: Number of pools.
    """

    def __init__(self, n_pools: int) -> None:
        self._limit = np.full(n_pools, np.inf)
        self._left = np.full(n_pools, np.inf)
        self._per_s = np.zeros(n_pools)
        self._at_s = np.zeros(n_pools)
        self._pending = [0.0] * n_pools
        self._is_from_provider = [False] * n_pools
        self.is_known = False

    def set_per_minute(self, pool: int, limit: float) -> None:
        """Set the limit of a pool, as the operator set it."""
        self._limit[pool] = self._left[pool] = limit
        self._per_s[pool] = limit / _MINUTE_S
        self.is_known = True

    def adopt(self, former: "Allowances", pools: Sequence[tuple[int, int]]) -> None:
        """Take over what is left of pools, as (pool here, pool there), unless the operator has changed the limit."""
        for pool, former_pool in pools:
            if former._is_from_provider[former_pool] or former._limit[former_pool] == self._limit[pool]:
                for present, past in (
                    (self._limit, former._limit),
                    (self._left, former._left),
                    (self._per_s, former._per_s),
                    (self._at_s, former._at_s),
                ):
                    present[pool] = past[former_pool]
                self._pending[pool] = former._pending[former_pool]
                self._is_from_provider[pool] = former._is_from_provider[former_pool]
                self.is_known = self.is_known or former._is_from_provider[former_pool]

    def left(self, now_s: float) -> Floats:
        """Return what is left now, shape (n_pools,); infinite if no limit is known."""
        left: Floats = np.minimum(self._left + self._per_s * (now_s - self._at_s), self._limit)
        return left

    def limit(self) -> Floats:
        """Return the limits, shape (n_pools,); infinite if none is known."""
        return self._limit

    def seconds_until(self, pool: int, amount: float, now_s: float) -> float:
        """Return the seconds until `amount`, or the whole limit if that is less, is there; infinite: it never is."""
        missing = min(amount, float(self._limit[pool])) - float(self.left(now_s)[pool])
        if missing <= 0:
            return 0.0
        return missing / float(self._per_s[pool]) if self._per_s[pool] > 0 else math.inf

    def take(self, pool: int, amount: float, now_s: float) -> None:
        """Take a request out before it is sent."""
        self._pending[pool] += amount
        self._move(pool, -amount, now_s)

    def answered(self, pool: int, taken: float, window: Window | None, now_s: float) -> None:
        """Read the head of a response: its request is no longer pending. `window` None: no head, or it says nothing."""
        self._pending[pool] = max(self._pending[pool] - taken, 0.0)
        if window is None or window.remaining is None:
            return
        limit = window.limit if window.limit is not None else max(window.remaining, self._known_limit(pool))
        self.is_known = self._is_from_provider[pool] = True
        self._limit[pool] = limit
        self._left[pool] = min(window.remaining, limit) - self._pending[pool]
        self._at_s[pool] = now_s
        self._per_s[pool] = _refill_per_s(limit, window)

    def settle(self, pool: int, taken: float, used: float, now_s: float) -> None:
        """Put back what was taken and not used, unless the provider's own figures count."""
        if not self._is_from_provider[pool]:
            self._move(pool, taken - used, now_s)

    def _known_limit(self, pool: int) -> float:
        limit = float(self._limit[pool])
        return limit if math.isfinite(limit) else 0.0

    def _move(self, pool: int, amount: float, now_s: float) -> None:
        if math.isfinite(self._limit[pool]):
            filled = self._left[pool] + self._per_s[pool] * (now_s - self._at_s[pool])
            self._left[pool] = min(filled, self._limit[pool]) + amount
            self._at_s[pool] = now_s


def _refill_per_s(limit: float, window: Window) -> float:
    missing = limit - (window.remaining or 0.0)
    if window.reset_s:
        return missing / window.reset_s
    return limit / _MINUTE_S
