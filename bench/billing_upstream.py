"""Providers that keep their own bills: one local server that simulates several providers.

They answer, refuse or break off, and record the cost of each answer. Every answer reports its serial number as its
prompt tokens, so that a ledger entry names its answer.
"""

import asyncio
import contextlib
import itertools
import json
import random
import threading
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

TOKEN_NUSD: Final = 100_000
"""Price of a token of an answer: 100 USD per million. A token of a prompt costs a nano-dollar."""

MOST_TOKENS: Final = 4
"""Callers' limit on answers; answers have one token less, so that a serial number always fits into the held amount."""

MOST_NUSD: Final = (MOST_TOKENS + 1) * TOKEN_NUSD
"""More than the gateway ever holds for one attempt."""

GOOD: Final = ("alpha", "beta", "gamma")
BAD: Final = ("limited", "failing", "breaking")
"""Failing providers: status 429, status 500, and an answer that breaks off before its usage."""

_START_WITHIN_S: Final = 10.0


@dataclass(slots=True)
class Bill:
    """The provider's bill for one answer.

    Args:
        serial: Serial number of the answer, 1 to 99,999.
        provider: Name of the provider.
        amount_nusd: Price of the answer.
        is_complete: Whether the answer was sent to its end, with its usage.
    """

    serial: int
    provider: str
    amount_nusd: int
    is_complete: bool = False


class BillingUpstream:
    """Runs in its own thread while the `with` block runs.

    Args:
        seed: Seed of lengths and delays.
        longest_s: Longest time until an answer begins.
    """

    def __init__(self, seed: int, longest_s: float = 0.05) -> None:
        self.bills: list[Bill] = []
        self.refusals: Counter[str] = Counter()
        self.port = 0
        self._random = random.Random(seed)  # noqa: S311 - a script, not a secret
        self._longest_s = longest_s
        self._serials = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def base_url(self, provider: str) -> str:
        """Return the address of a provider."""
        return f"http://127.0.0.1:{self.port}/{provider}/v1"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        provider = request.match_info["provider"]
        body = await request.json()
        await asyncio.sleep(self._random.uniform(0, self._longest_s))
        if provider == "limited":
            return self._refuse(provider, 429, {"retry-after": "1"})
        if provider == "failing":
            return self._refuse(provider, 500, {})
        bill = self._new_bill(provider)
        response = web.StreamResponse()
        with contextlib.suppress(ConnectionResetError):  # the caller has left, or the worker was killed
            response = await (self._stream(request, bill) if body.get("stream") else self._whole(request, bill))
        return response

    def _new_bill(self, provider: str) -> Bill:
        serial = next(self._serials)
        assert serial < TOKEN_NUSD, "serial numbers are used up"
        bill = Bill(serial, provider, self._random.randint(1, MOST_TOKENS - 1) * TOKEN_NUSD + serial)
        self.bills.append(bill)
        return bill

    def _refuse(self, provider: str, status: int, headers: dict[str, str]) -> web.Response:
        self.refusals[provider] += 1
        return web.json_response(
            {"error": {"message": "not now", "type": "x", "code": "y"}}, status=status, headers=headers
        )

    async def _whole(self, request: web.Request, bill: Bill) -> web.StreamResponse:
        message = {"role": "assistant", "content": "word " * _tokens(bill)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        raw = json.dumps({**_head("chat.completion"), "choices": [choice], "usage": _usage(bill)}).encode()
        response = web.StreamResponse(headers={"content-type": "application/json", "content-length": str(len(raw))})
        await response.prepare(request)
        if bill.provider == "breaking":
            return await _cut(request, response, raw[: len(raw) // 2])
        await response.write(raw)
        bill.is_complete = True
        return response

    async def _stream(self, request: web.Request, bill: Bill) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(_tokens(bill)):
            await response.write(_event([{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]))
            await asyncio.sleep(self._random.uniform(0, self._longest_s / 4))
            if bill.provider == "breaking":
                return await _cut(request, response, b"")
        await response.write(_event([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
        await response.write(_event([], usage=_usage(bill)) + b"data: [DONE]\n\n")
        bill.is_complete = True
        return response

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/{provider}/v1/chat/completions", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1_024).start()
        self.port = self._runner.addresses[0][1]
        self._started.set()

    def _run(self) -> None:
        self._loop.run_until_complete(self._start())
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(_START_WITHIN_S), "the providers did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_WITHIN_S)


def serial_of(amount_nusd: int) -> int:
    """Return which answer an amount is for."""
    return amount_nusd % TOKEN_NUSD


async def _cut(request: web.Request, response: web.StreamResponse, raw: bytes) -> web.StreamResponse:
    await response.write(raw)
    if request.transport is not None:
        request.transport.close()
    return response


def _tokens(bill: Bill) -> int:
    return bill.amount_nusd // TOKEN_NUSD


def _usage(bill: Bill) -> dict[str, int]:
    n_tokens = _tokens(bill)
    return {"prompt_tokens": bill.serial, "completion_tokens": n_tokens, "total_tokens": bill.serial + n_tokens}


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "llama"}


def _event(choices: list[dict[str, Any]], **others: object) -> bytes:
    return b"data: " + json.dumps({**_head("chat.completion.chunk"), "choices": choices, **others}).encode() + b"\n\n"
