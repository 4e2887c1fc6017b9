"""A thread that a background part works in, so that its end is noticed and it can be started again."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future


class WorkerThread:
    """Runs one function in a daemon thread.

    Args:
        name: Name of the thread.
        work: Function that returns only when its part closes. It may run more than once, one run after the other.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._thread: threading.Thread | None = None
        self._ended: Future[None] | None = None
        self._error: BaseException | None = None

    @property
    def was_started(self) -> bool:
        """Whether `start` was called."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread, also after an earlier run of it has ended."""
        self._ended, self._error = Future(), None
        self._thread = threading.Thread(target=self._run, args=(self._ended,), name=self._name, daemon=True)
        self._thread.start()

    async def watch(self) -> None:
        """Wait until the thread ends. The next call starts it again.

        Raises:
            RuntimeError: An error ended the thread; it is the cause of this one.
        """
        if self._ended is None:
            self.start()
        assert self._ended is not None
        # Unlike awaiting the future itself, this does not cancel it when this call is cancelled.
        await asyncio.wait([asyncio.wrap_future(self._ended)])
        self._ended = None
        self._raise_error()

    async def finish(self) -> None:
        """Wait until the thread has done what is left; one that an error ended is started once more for that.

        Raises:
            RuntimeError: An error ended the thread again.
        """
        if self._thread is None:
            return
        await asyncio.to_thread(self._thread.join)
        if self._error is not None:
            self.start()
            await asyncio.to_thread(self._thread.join)
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise RuntimeError(f"the thread {self._name} ended") from self._error

    def _run(self, ended: "Future[None]") -> None:
        try:
            self._work()
        except BaseException as error:  # the edge of the thread: `watch` raises it where it is logged
            self._error = error
        ended.set_result(None)
