"""Holds virtual keys to their requests and tokens per minute."""

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import Final

from serve.errors import RateLimitedError
from serve.identity.virtual_keys import VirtualKeyHolder
from serve.rate_limits.counters import Counter, Standing

_LEAST_WAIT_S: Final = 1


@dataclass(slots=True, eq=False)
class KeyAllowance:
    """The amounts that one admitted request took of its key's limits.

    Args:
        holder: Holder of the key.
        requests, tokens: Rest of the key's limits after it; None: the key has no such limit.
        tokens_taken: Tokens that were taken.
        taken_at: Time at which they were taken, in seconds since 1970.
    """

    holder: VirtualKeyHolder
    requests: Standing | None = None
    tokens: Standing | None = None
    tokens_taken: int = 0
    taken_at: float = 0.0


@dataclass(slots=True)
class KeyLimits:
    """Takes requests and tokens out of keys' limits per minute.

    Args:
        counter: Counter of both.
    """

    counter: Counter
    _returning: set[asyncio.Task[object]] = field(default_factory=set)

    async def take_request(self, holder: VirtualKeyHolder) -> KeyAllowance | None:
        """Count a request; None: the key has no limits.

        Raises:
            RateLimitedError: The limit is reached.
        """
        if holder.requests_per_minute is None and holder.tokens_per_minute is None:
            return None
        allowance = KeyAllowance(holder)
        if holder.requests_per_minute is not None:
            is_within, allowance.requests = await self._take(holder, "requests", holder.requests_per_minute, 1)
            if not is_within:
                raise _too_many(allowance, "requests")
        return allowance

    async def take_tokens(self, allowance: KeyAllowance, expected: float) -> None:
        """Count the tokens that a request is expected to take; a longer request counts as the whole limit of a minute.

        Raises:
            RateLimitedError: The limit has too little left.
        """
        limit = allowance.holder.tokens_per_minute
        if limit is None:
            return
        tokens = min(max(math.ceil(expected), 1), limit)
        is_within, allowance.tokens = await self._take(allowance.holder, "tokens", limit, tokens)
        if not is_within:
            raise _too_many(allowance, "tokens")
        allowance.tokens_taken, allowance.taken_at = tokens, time.time()

    def settle(self, allowance: KeyAllowance, used: int) -> None:
        """Give back the tokens that a request did not use, or take those that it used in addition, if any are left."""
        limit, difference = allowance.holder.tokens_per_minute, used - allowance.tokens_taken
        if limit is None or difference == 0 or allowance.tokens_taken == 0:
            return
        if allowance.tokens is not None:
            difference = min(difference, allowance.tokens.remaining)
        returning = asyncio.ensure_future(self._correct(allowance, limit, difference))
        self._returning.add(returning)
        returning.add_done_callback(self._returning.discard)

    async def _correct(self, allowance: KeyAllowance, limit: int, difference: int) -> None:
        name = _name(allowance.holder, "tokens")
        if difference < 0:
            await self.counter.give_back(limit, name, -difference, allowance.taken_at)
        elif difference > 0:
            await self.counter.take(limit, name, difference)

    async def _take(self, holder: VirtualKeyHolder, unit: str, limit: int, amount: int) -> tuple[bool, Standing]:
        name = _name(holder, unit)
        is_within = await self.counter.take(limit, name, amount)
        return is_within, await self.counter.standing(limit, name)


def limit_headers(allowance: KeyAllowance) -> list[tuple[bytes, bytes]]:
    """Return what the key has left, as OpenAI's headers `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`."""
    headers = []
    for unit, standing in ((b"requests", allowance.requests), (b"tokens", allowance.tokens)):
        if standing is not None:
            headers += [
                (b"x-ratelimit-limit-" + unit, str(standing.limit).encode()),
                (b"x-ratelimit-remaining-" + unit, str(standing.remaining).encode()),
                (b"x-ratelimit-reset-" + unit, f"{standing.reset_s:.3f}s".encode()),
            ]
    return headers


def _too_many(allowance: KeyAllowance, unit: str) -> RateLimitedError:
    standing = allowance.requests if unit == "requests" else allowance.tokens
    assert standing is not None
    error = RateLimitedError(
        f"the virtual key {allowance.holder.virtual_key_id!r} has used up its {standing.limit} {unit} a minute",
        retry_after_s=max(math.ceil(standing.reset_s), _LEAST_WAIT_S),
    )
    error.headers = limit_headers(allowance)
    return error


def _name(holder: VirtualKeyHolder, unit: str) -> str:
    return f"{holder.virtual_key_id}:{unit}"
