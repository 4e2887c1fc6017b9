"""Two timers that run next to an answer: one notices that the caller went away, one keeps a quiet stream open."""

import asyncio

from serve.http.asgi import Receive, Send

KEEP_ALIVE_S = 15.0
WATCH_AFTER_S = 0.02
KEEP_ALIVE = b": keep-alive\n\n"


class DisconnectWatch:
    """Cancels the current task when the caller goes away.

    The watch begins `WATCH_AFTER_S` later, so most quick answers never pay for it.
    """

    def __init__(self, receive: Receive) -> None:
        work = asyncio.current_task()
        assert work is not None
        self._work = work
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._begin)

    def stop(self) -> None:
        """Stop watching."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def has_cancelled(self) -> bool:
        """Return whether this watch cancelled the task. If so, the cancellation is taken back."""
        task = self._task
        return task is not None and task.done() and not task.cancelled() and self._work.uncancel() == 0

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._work.cancel()


class StreamKeepAlive:
    """Sends a comment line when a stream was quiet for `KEEP_ALIVE_S`, so that no proxy on the way closes it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._is_quiet = True

    def note_sent(self) -> None:
        """Note that something was sent and more will come. The first call starts the timer."""
        self._is_quiet = False
        if self._timer is None:
            self._start()

    def stop(self) -> None:
        """Stop sending comments."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _tick(self) -> None:
        if self._is_quiet and (self._sending is None or self._sending.done()):
            self._sending = self._loop.create_task(self._comment())
        self._is_quiet = True
        self._start()

    def _start(self) -> None:
        self._timer = self._loop.call_later(KEEP_ALIVE_S, self._tick)

    async def _comment(self) -> None:
        await self._send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
