"""Bars are solved off the event loop, once for all requests that wait for the same one."""

import asyncio
import threading
import time

import numpy as np
import pytest

from router.bar import Bar, BarRule, BarUnsolvedError
from serve.routing.bar_solver import BarSolver

EVERYONE = np.ones(3, np.bool_)


class SlowBar(Bar):
    """A bar that takes a while, as one of many lanes does."""

    def __init__(self, is_broken: bool = False) -> None:
        self._rules = {}
        self.threads: list[int] = []
        self._is_broken = is_broken

    def _solve(self, eligible: bytes, share: float, steps: bytes) -> BarRule:
        self.threads.append(threading.get_ident())
        time.sleep(0.2)
        if self._is_broken:
            raise ValueError("no reference answers")
        return BarRule(share)


async def _decide(bar: Bar, solver: BarSolver, share: float) -> BarRule:
    while True:
        try:
            return bar.solved().rule(EVERYONE, share)
        except BarUnsolvedError as unsolved:
            await solver.solve(unsolved)


def test_requests_wait_together_while_the_event_loop_goes_on() -> None:
    async def run() -> None:
        bar, solver, turns = SlowBar(), BarSolver(), 0
        requests = asyncio.gather(*(_decide(bar, solver, 0.95) for _ in range(5)))
        while not requests.done():
            turns += 1
            await asyncio.sleep(0.01)
        assert [rule.willingness_to_pay_usd for rule in await requests] == [0.95] * 5
        assert len(bar.threads) == 1
        assert bar.threads[0] != threading.get_ident()
        assert turns > 5

    asyncio.run(run())


def test_a_caller_who_leaves_does_not_stop_the_others() -> None:
    async def run() -> None:
        bar, solver = SlowBar(), BarSolver()
        leaving, staying = (asyncio.create_task(_decide(bar, solver, 0.9)) for _ in range(2))
        await asyncio.sleep(0.05)
        leaving.cancel()
        assert (await staying).willingness_to_pay_usd == 0.9
        assert len(bar.threads) == 1

    asyncio.run(run())


def test_a_bar_that_cannot_be_solved_fails_its_request_alone() -> None:
    async def run() -> None:
        bar, solver = SlowBar(is_broken=True), BarSolver()
        with pytest.raises(ValueError, match="no reference answers"):
            await _decide(bar, solver, 0.9)
        bar._is_broken = False
        assert (await _decide(bar, solver, 0.9)).willingness_to_pay_usd == 0.9

    asyncio.run(run())
