"""A real TCP server that answers with given bytes, cut at given places, and counts connections."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pause:
    """Say nothing for so long."""

    seconds: float


class HangUp:
    """Close the connection."""


Step = bytes | Pause | HangUp


@dataclass
class RawServer:
    """`answers` holds the steps for each request in turn; the last answer repeats."""

    answers: list[Sequence[Step]]
    requests: list[bytes] = field(default_factory=list)
    n_connections: int = 0
    hung_up_on_us: asyncio.Event = field(default_factory=asyncio.Event)
    handlers: set[asyncio.Task[object]] = field(default_factory=set)
    port: int = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.handlers.add(task)
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, OSError):
            self.hung_up_on_us.set()
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self.handlers.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.requests.append(head + await reader.readexactly(length))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        for step in answer:
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, HangUp):
                return False
            else:
                writer.write(step)
                await writer.drain()
                await asyncio.sleep(0)
        return True


@contextlib.asynccontextmanager
async def raw_server(*answers: Sequence[Step], tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    served = RawServer(list(answers))
    server = await asyncio.start_server(served._serve, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served
        for handler in served.handlers:
            handler.cancel()
        await asyncio.gather(*served.handlers, return_exceptions=True)
