"""Counters for limits per minute: sliding windows in this process's memory or in Valkey, by the package `limits`."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Protocol

from limits import RateLimitItemPerMinute
from limits.aio import storage as shared_storage
from limits.aio import strategies as shared_strategies
from limits.errors import StorageError
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from serve.errors import ConfigurationError

if TYPE_CHECKING:
    from valkey.asyncio import ConnectionPool

_log = logging.getLogger("llmdeal.rate_limits")
_AWAY_S: Final = 5.0
_WINDOW_S: Final = 60.0
_SLACK_S: Final = 0.25  # a window in Valkey begins with the first count, on another machine's clock
_TIMEOUT_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Standing:
    """What a key has left of one limit.

    Args:
        limit: Limit per minute.
        remaining: Rest of it, at least 0.
        reset_s: Seconds until more is left.
    """

    limit: int
    remaining: int
    reset_s: float


class Counter(Protocol):
    """Counts amounts per minute, by name."""

    async def take(self, limit: int, name: str, amount: int) -> bool:
        """Count `amount` if that stays within `limit`; return whether it was counted."""
        ...

    async def give_back(self, limit: int, name: str, amount: int, taken_at: float) -> None:
        """Count `amount` less, if the window in which it was taken has not ended; never below zero.

        An amount that was taken in an earlier window counts less and less by itself. To give it back to the present
        window would free what other requests took.

        Args:
            limit, name, amount: The same as for `take`.
            taken_at: Time of the count, in seconds since 1970 (the clock of the package `limits`).
        """
        ...

    async def standing(self, limit: int, name: str) -> Standing:
        """Return what is left of a limit under this name."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class LocalCounter:
    """Counts in this process."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._windows = SlidingWindowCounterRateLimiter(self._storage)

    async def take(self, limit: int, name: str, amount: int) -> bool:
        """Count if it stays within the limit."""
        return self._windows.hit(RateLimitItemPerMinute(limit), name, cost=amount)

    async def give_back(self, limit: int, name: str, amount: int, taken_at: float) -> None:
        """Count less, if the window has not ended."""
        item, now = RateLimitItemPerMinute(limit), time.time()
        _, window = self._storage.sliding_window_keys(item.key_for(name), item.get_expiry(), now)
        returned = min(amount, self._storage.get(window))
        if returned > 0 and taken_at >= now - now % _WINDOW_S:  # windows begin with the minute here
            self._storage.decr(window, returned)

    async def standing(self, limit: int, name: str) -> Standing:
        """Return what is left of a limit under this name."""
        reset_at, remaining = self._windows.get_window_stats(RateLimitItemPerMinute(limit), name)
        return _standing(limit, remaining, reset_at)

    async def close(self) -> None:
        """There are no connections to close."""


class SharedCounter:
    """Counts in Valkey, together with other processes; while Valkey does not answer, in this process alone.

    Args:
        uri: `valkey://…`, `valkeys://…` (TLS), or the same with `redis`.
        monotonic: Monotonic clock; decides when Valkey is tried again after it could not be reached.

    Raises:
        ConfigurationError: The package `valkey` is not installed.
    """

    def __init__(self, uri: str, monotonic: Callable[[], float]) -> None:
        if find_spec("valkey") is None:
            raise ConfigurationError("shared_state: needs the package valkey: pip install 'llmdeal[valkey]'")
        self._uri = uri.replace("redis", "valkey", 1)  # one wire protocol
        self._windows: shared_strategies.SlidingWindowCounterRateLimiter | None = None
        self._pool: ConnectionPool | None = None
        self._local = LocalCounter()
        self._monotonic = monotonic
        self._away_until = 0.0
        self.is_away = False

    async def take(self, limit: int, name: str, amount: int) -> bool:
        """Count if it stays within the limit."""
        if not self._is_avoided:
            try:
                is_within = await self._shared.hit(RateLimitItemPerMinute(limit), name, cost=amount)
            except (StorageError, OSError) as error:
                self._avoid(error)
            else:
                self._note_answer()
                return is_within
        return await self._local.take(limit, name, amount)

    async def give_back(self, limit: int, name: str, amount: int, taken_at: float) -> None:
        """Count less, if the window has not ended."""
        if self._is_avoided:
            await self._local.give_back(limit, name, amount, taken_at)
            return
        item, windows = RateLimitItemPerMinute(limit), self._shared
        try:
            window = await self._storage.get_sliding_window(item.key_for(name), item.get_expiry())
            if returned := _returnable(window, amount, taken_at):
                await windows.hit(item, name, cost=-returned)
        except (StorageError, OSError) as error:
            self._avoid(error)

    async def standing(self, limit: int, name: str) -> Standing:
        """Return what is left of a limit under this name."""
        if not self._is_avoided:
            try:
                reset_at, remaining = await self._shared.get_window_stats(RateLimitItemPerMinute(limit), name)
                return _standing(limit, remaining, reset_at)
            except (StorageError, OSError) as error:
                self._avoid(error)
        return await self._local.standing(limit, name)

    async def close(self) -> None:
        """Close the connections to Valkey."""
        if self._pool is not None:
            await self._pool.aclose()

    @property
    def _is_avoided(self) -> bool:
        return self._monotonic() < self._away_until

    @property
    def _shared(self) -> shared_strategies.SlidingWindowCounterRateLimiter:
        if self._windows is None:  # made here, because it belongs to the event loop that uses it
            from valkey.asyncio import ConnectionPool

            self._pool = ConnectionPool.from_url(
                self._uri, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
            )
            self._storage = shared_storage.RedisStorage(
                f"async+{self._uri}",
                wrap_exceptions=True,
                implementation="valkey",
                key_prefix="llmdeal",
                connection_pool=self._pool,  # type: ignore[arg-type] # it is passed to the client unchanged
            )
            self._windows = shared_strategies.SlidingWindowCounterRateLimiter(self._storage)
        return self._windows

    def _avoid(self, error: Exception) -> None:
        self._away_until = self._monotonic() + _AWAY_S
        if not self.is_away:
            self.is_away = True
            reason = error.__cause__ or error
            _log.error(
                "shared_state cannot be reached (%s): for now every worker counts for itself", type(reason).__name__
            )

    def _note_answer(self) -> None:
        if self.is_away:
            self.is_away = False
            _log.warning("shared_state is back: workers count together again")


def _returnable(window: tuple[int, float, int, float], amount: int, taken_at: float) -> int:
    """Return how much of an amount that was taken then can be given back.

    Args:
        window: Previous count, its remaining seconds, present count, its remaining seconds.
        amount: Amount that was taken.
        taken_at: Time of the count, in seconds since 1970.
    """
    _, _, counted, ttl_s = window
    began_at = time.time() - (2 * _WINDOW_S - ttl_s)  # kept for one window's time, and for another as the previous one
    return max(min(amount, counted), 0) if taken_at >= began_at - _SLACK_S else 0


def _standing(limit: int, remaining: int, reset_at: float) -> Standing:
    return Standing(limit, min(max(remaining, 0), limit), max(reset_at - time.time(), 0.0))
