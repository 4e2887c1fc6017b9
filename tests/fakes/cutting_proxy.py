"""A real TCP proxy that cuts its first connections once the request was passed on, as a network does."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class CuttingProxy:
    """Stands before a server and cuts `n_cuts` connections; `before_cut` is called, in a thread, before each."""

    def __init__(self, url: str, n_cuts: int, before_cut: Callable[[], object]) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._before_cut = before_cut
        self._n_left = n_cuts
        self._handlers: set[asyncio.Task[object]] = set()
        self.n_connections = 0
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self.n_connections += 1
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        to_server = asyncio.create_task(self._pump(reader, server_writer))
        to_caller = asyncio.create_task(self._pump(server_reader, writer))
        try:
            if self._n_left > 0:
                self._n_left -= 1
                await asyncio.to_thread(self._before_cut)
            else:
                await asyncio.gather(to_server, to_caller)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            for pump in (to_server, to_caller):
                pump.cancel()
            await asyncio.gather(to_server, to_caller, return_exceptions=True)
            for end in (writer, server_writer):
                end.transport.abort()
                with suppress(OSError):
                    await end.wait_closed()
            self._handlers.discard(task)

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self._started.set()
            await self._stop.wait()
            for handler in list(self._handlers):
                handler.cancel()
            await asyncio.gather(*self._handlers, return_exceptions=True)

    def __enter__(self) -> Self:
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
