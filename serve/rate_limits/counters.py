"""What counts against a limit per minute: a sliding window, in this process's memory or in Valkey. Built on the package `limits`."""

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
_TIMEOUT_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Standing:
    """How a key stands against one limit.

    Args:
        limit: A minute.
        remaining: At least 0.
        reset_s: Until a little more is there, seconds.
    """

    limit: int
    remaining: int
    reset_s: float


class Counter(Protocol):
    """Counts things of a minute by name."""

    async def take(self, limit: int, name: str, amount: int) -> bool:
        """Count `amount` (negative: give it back) if that stays within `limit`; return whether it was counted."""
        ...

    async def standing(self, limit: int, name: str) -> Standing:
        """Return how a name stands."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class LocalCounter:
    """Counts in this process."""

    def __init__(self) -> None:
        self._windows = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def take(self, limit: int, name: str, amount: int) -> bool:
        """Count if it stays within the limit."""
        return self._windows.hit(RateLimitItemPerMinute(limit), name, cost=amount)

    async def standing(self, limit: int, name: str) -> Standing:
        """Return how a name stands."""
        reset_at, remaining = self._windows.get_window_stats(RateLimitItemPerMinute(limit), name)
        return _standing(limit, remaining, reset_at)

    async def close(self) -> None:
        """There is nothing to let go of."""


class SharedCounter:
    """Counts in Valkey, for every process that does; while it is away, in this process alone.

    Args:
        uri: `valkey://…`, `valkeys://…` (TLS), or the same with `redis`.
        monotonic: For how long it is left alone after it could not be reached.

    Raises:
        ConfigurationError: The package that speaks to it is not installed.
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

    @property
    def is_away(self) -> bool:
        """Whether counts are this process's alone for now."""
        return self._monotonic() < self._away_until

    async def take(self, limit: int, name: str, amount: int) -> bool:
        """Count if it stays within the limit."""
        if not self.is_away:
            try:
                return await self._shared.hit(RateLimitItemPerMinute(limit), name, cost=amount)
            except (StorageError, OSError) as error:
                self._leave_alone(error)
        return await self._local.take(limit, name, amount)

    async def standing(self, limit: int, name: str) -> Standing:
        """Return how a name stands."""
        if not self.is_away:
            try:
                reset_at, remaining = await self._shared.get_window_stats(RateLimitItemPerMinute(limit), name)
                return _standing(limit, remaining, reset_at)
            except (StorageError, OSError) as error:
                self._leave_alone(error)
        return await self._local.standing(limit, name)

    async def close(self) -> None:
        """Close the connections to Valkey."""
        if self._pool is not None:
            await self._pool.aclose()

    @property
    def _shared(self) -> shared_strategies.SlidingWindowCounterRateLimiter:
        if self._windows is None:  # made on the event loop that uses it
            from valkey.asyncio import ConnectionPool

            self._pool = ConnectionPool.from_url(self._uri, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
            storage = shared_storage.RedisStorage(
                f"async+{self._uri}",
                wrap_exceptions=True,
                implementation="valkey",
                key_prefix="llmdeal",
                connection_pool=self._pool,  # type: ignore[arg-type] # goes to the client as it is
            )
            self._windows = shared_strategies.SlidingWindowCounterRateLimiter(storage)
        return self._windows

    def _leave_alone(self, error: Exception) -> None:
        self._away_until = self._monotonic() + _AWAY_S
        reason = error.__cause__ or error
        _log.error("shared_state cannot be reached (%s): for now every worker counts for itself", type(reason).__name__)


def _standing(limit: int, remaining: int, reset_at: float) -> Standing:
    return Standing(limit, min(max(remaining, 0), limit), max(reset_at - time.time(), 0.0))
