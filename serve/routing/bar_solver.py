"""Solves relative bars in a thread, so that the event loop goes on: with 300 lanes a bar takes more than 0.1 s."""

import asyncio

from router.bar import AskedBar, Bar, BarRule, BarUnsolvedError

_Asked = tuple[Bar, AskedBar]


class BarSolver:
    """Solves bars for one event loop. Requests that need the same bar wait for it together."""

    def __init__(self) -> None:
        self._solving: dict[_Asked, asyncio.Task[BarRule]] = {}

    async def solve(self, unsolved: BarUnsolvedError) -> None:
        """Solve a bar in a thread and keep it. A caller who leaves does not stop it for the others."""
        key = (unsolved.bar, unsolved.asked)
        task = self._solving.get(key)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(unsolved.bar.solve, unsolved.asked))
            self._solving[key] = task
            task.add_done_callback(lambda done: self._keep(key, done))
        await asyncio.shield(task)

    def _keep(self, key: _Asked, task: asyncio.Task[BarRule]) -> None:
        del self._solving[key]
        if not task.cancelled() and task.exception() is None:
            bar, asked = key
            bar.keep(asked, task.result())
