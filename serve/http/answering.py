"""The endpoints that answer, such as `POST /v1/chat/completions`. Plain ASGI, because this is the hot path."""

import asyncio
from contextlib import aclosing

import msgspec

from serve.clock import Clock
from serve.errors import RequestError
from serve.http.admission import Admission
from serve.http.answer_headers import answer_headers
from serve.http.asgi import JSON, ClientDisconnected, RawHeaders, Receive, Scope, Send
from serve.http.caller_watch import DisconnectWatch, StreamKeepAlive
from serve.http.doors import Door
from serve.proxy.attempt import Attempt
from serve.proxy.chat_proxy import ChatProxy, StreamedAnswer, WholeAnswer

_STREAM_HEADERS: RawHeaders = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Answering:
    """One endpoint.

    Args:
        door: Dialect of the endpoint.
        admission: Object that turns requests into calls.
        proxy: Object that answers calls.
        clock: Clock for durations.
    """

    def __init__(self, door: Door, admission: Admission, proxy: ChatProxy, clock: Clock) -> None:
        self.door = door
        self._admission = admission
        self._proxy = proxy
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. When the caller goes away, the provider's call is cancelled and still logged."""
        call = await self._admission.admit(scope, receive, self.door)
        watch = DisconnectWatch(receive)
        try:
            answer = await self._proxy.answer(call)
            if isinstance(answer, WholeAnswer):
                await self._send_whole(answer, send)
            else:
                await self._send_stream(answer, send)
        except asyncio.CancelledError:
            if watch.has_cancelled():
                raise ClientDisconnected from None
            raise
        except RequestError as error:
            error.request_id = call.request_id
            raise
        finally:
            watch.stop()
            self._admission.settle(call)

    async def _send_whole(self, answer: WholeAnswer, send: Send) -> None:
        raw = msgspec.json.encode(answer.body)
        headers = answer_headers(answer.attempt, self._overhead_ms(answer.attempt), answer.cost.total_nusd)
        length = (b"content-length", str(len(raw)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, length, *headers]})
        await send({"type": "http.response.body", "body": raw})

    async def _send_stream(self, answer: StreamedAnswer, send: Send) -> None:
        attempt = answer.attempt
        headers = answer_headers(attempt, self._overhead_ms(attempt), None)
        idle = StreamKeepAlive(send)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [*_STREAM_HEADERS, *headers]})
            async with aclosing(answer.pieces) as pieces:
                async for piece, is_last in pieces:
                    if is_last:
                        idle.stop()
                    await send({"type": "http.response.body", "body": piece, "more_body": not is_last})
                    if not is_last:
                        idle.note_sent()
        finally:
            idle.stop()
            # This has an effect only if the stream never began.
            attempt.end("client_disconnected", None)

    def _overhead_ms(self, attempt: Attempt) -> float:
        return attempt.timing.overhead_ms(self._clock.monotonic())
