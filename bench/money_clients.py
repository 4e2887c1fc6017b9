"""Many callers at once: some stream, some do not, and some leave in the middle."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from bench.billing_upstream import MOST_TOKENS

LEAVES_AFTER: Final = 0.2
"""Share of the streams that their caller leaves in the middle."""

_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
_PAUSE_S: Final = 0.25


@dataclass(slots=True)
class Tally:
    """Counts of what the callers saw.

    Args:
        statuses: HTTP status -> count.
        reasons: `x-llmdeal-reason` of answers -> count.
        n_left: Number of streams that their caller left.
        n_cut: Number of requests without a whole answer, because a worker was killed or a provider broke off.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    n_left: int = 0
    n_cut: int = 0


class MoneyClients:
    """Callers that send requests until they are stopped.

    Args:
        url: Function that returns the gateway's present address; called before each request.
        virtual_keys: Virtual keys that the callers share.
        n_clients: Number of callers at once.
        seed: Seed of the callers' choices.
    """

    def __init__(self, url: Callable[[], str], virtual_keys: Sequence[str], n_clients: int, seed: int) -> None:
        self.tally = Tally()
        self._url = url
        self._virtual_keys = virtual_keys
        self._n_clients = n_clients
        self._seed = seed

    async def run(self, is_over: asyncio.Event, until_refused: int | None = None) -> None:
        """Ask until `is_over`, or until each caller was refused for its budget `until_refused` times in a row."""
        connector = aiohttp.TCPConnector(limit=0, force_close=False)
        async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
            clients = [self._client(session, number, is_over, until_refused) for number in range(self._n_clients)]
            await asyncio.gather(*clients)

    async def _client(
        self, session: aiohttp.ClientSession, number: int, is_over: asyncio.Event, until_refused: int | None
    ) -> None:
        chance = random.Random(self._seed * 1_000 + number)  # noqa: S311 - a script, not a secret
        virtual_key = self._virtual_keys[number % len(self._virtual_keys)]
        n_refused = 0
        while not is_over.is_set() and (until_refused is None or n_refused < until_refused):
            status = await self._ask(session, virtual_key, chance)
            n_refused = n_refused + 1 if status == 402 else 0
            if status != 200:
                await asyncio.sleep(_PAUSE_S)

    async def _ask(self, session: aiohttp.ClientSession, virtual_key: str, chance: random.Random) -> int | None:
        is_streaming = chance.random() < 0.6
        leaves = is_streaming and chance.random() < LEAVES_AFTER
        messages = [{"role": "user", "content": "What is 17 * 23?"}]
        body: dict[str, Any] = {
            "model": "smart-route",
            "messages": messages,
            "max_tokens": MOST_TOKENS,
            "stream": is_streaming,
        }
        try:
            headers = {"authorization": f"Bearer {virtual_key}"}
            async with session.post(f"{self._url()}/v1/chat/completions", json=body, headers=headers) as answer:
                self.tally.statuses[answer.status] += 1
                if answer.status == 200:
                    self.tally.reasons[answer.headers["x-llmdeal-reason"]] += 1
                if leaves:
                    await answer.content.readany()
                    self.tally.n_left += 1
                    answer.close()
                else:
                    await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            self.tally.n_cut += 1
            return None
