"""`POST /v1/chat/completions`, and the admission that it shares with `POST /v1/route`. Plain ASGI: this is the hot path."""

import asyncio
import hashlib
import os
from contextlib import aclosing

import msgspec

from serve.call import Call
from serve.clock import Clock
from serve.dialects.openai.chat_request import ChatRequest, parse_chat_request
from serve.dialects.openai.conversation import route_context
from serve.errors import BadRequestError
from serve.http.answer_headers import answer_headers
from serve.http.asgi import JSON, ClientDisconnected, RawHeaders, Receive, Scope, Send, read_body
from serve.proxy import ChatProxy, StreamedAnswer, WholeAnswer
from serve.routing_request import routing_request
from serve.routing_service import RoutingService
from serve.upstream.attempt import Attempt
from serve.virtual_keys import KeyRing, presented_key

KEEP_ALIVE_S = 15.0
WATCH_AFTER_S = 0.02
_KEEP_ALIVE = b": keep-alive\n\n"
_STREAM_HEADERS: RawHeaders = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_MAX_TAGS = 32


class Admission:
    """Turns a request into a `Call`: who asks, what, and which lanes may answer.

    Args:
        key_ring: The virtual keys.
        routing: Decides.
        clock: For durations and dates.
        max_body_bytes: Larger bodies are refused.
    """

    def __init__(self, key_ring: KeyRing, routing: RoutingService, clock: Clock, max_body_bytes: int) -> None:
        self._key_ring = key_ring
        self._routing = routing
        self._clock = clock
        self._max_body_bytes = max_body_bytes

    async def admit(self, scope: Scope, receive: Receive) -> Call:
        """Authenticate, read, validate and decide.

        Raises:
            RequestError: Whatever is wrong, with its status.
            ClientDisconnected: The caller went away.
        """
        started = self._clock.monotonic()
        headers = dict(scope["headers"])
        holder = self._key_ring.recognise(presented_key(headers.get(b"authorization"), headers.get(b"x-api-key")))
        request, body = parse_chat_request(await read_body(receive, self._max_body_bytes))
        context = route_context(request, body)
        region = headers.get(b"x-llmdeal-region")
        routing = routing_request(
            request,
            self._routing.directory.table,
            self._routing.default_policy,
            None if region is None else region.decode("latin-1"),
            headers.get(b"x-llmdeal-explain") == b"1",
        )
        directory = self._routing.directory
        decision, prediction = self._routing.route(context, routing)
        return Call(
            request_id=new_request_id(),
            holder=holder,
            endpoint=scope["path"],
            tags=_tags(headers.get(b"x-llmdeal-tags")),
            conversation_id=_conversation_id(request, headers.get(b"x-session-id"), holder.account),
            request=request,
            body=body,
            context=context,
            routing=routing,
            prediction=prediction,
            decision=decision,
            directory=directory,
            started=started,
            started_at=self._clock.now(),
        )


class ChatCompletions:
    """The endpoint.

    Args:
        admission: Turns requests into calls.
        proxy: Answers calls.
        clock: For durations.
        router_version: Of the loaded bundle, for the header.
    """

    def __init__(self, admission: Admission, proxy: ChatProxy, clock: Clock, router_version: str) -> None:
        self._admission = admission
        self._proxy = proxy
        self._clock = clock
        self._router_version = router_version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. When the caller goes away, the provider's call is cancelled and still logged."""
        call = await self._admission.admit(scope, receive)
        watch = _DisconnectWatch(receive)
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
        finally:
            watch.stop()

    async def _send_whole(self, answer: WholeAnswer, send: Send) -> None:
        raw = msgspec.json.encode(answer.body)
        headers = answer_headers(answer.attempt, self._router_version, self._overhead_ms(answer.attempt), answer.cost.total_nusd)
        length = (b"content-length", str(len(raw)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, length, *headers]})
        await send({"type": "http.response.body", "body": raw})

    async def _send_stream(self, answer: StreamedAnswer, send: Send) -> None:
        attempt = answer.attempt
        headers = answer_headers(attempt, self._router_version, self._overhead_ms(attempt), None)
        idle = _KeepAlive(send)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [*_STREAM_HEADERS, *headers]})
            idle.start()
            async with aclosing(answer.events) as events:
                async for event in events:
                    idle.is_quiet = False
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            idle.stop()
            await send({"type": "http.response.body", "body": b""})
        finally:
            idle.stop()
            # Only where the stream was never begun does this say something new.
            attempt.end("client_disconnected", None)

    def _overhead_ms(self, attempt: Attempt) -> float:
        return attempt.overhead_ms(self._clock.monotonic())


class _KeepAlive:
    """Sends a comment line whenever a stream was quiet for `KEEP_ALIVE_S`, so that nothing in between closes it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self.is_quiet = True

    def start(self) -> None:
        self._timer = self._loop.call_later(KEEP_ALIVE_S, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _tick(self) -> None:
        if self.is_quiet and (self._sending is None or self._sending.done()):
            self._sending = self._loop.create_task(self._comment())
        self.is_quiet = True
        self.start()

    async def _comment(self) -> None:
        await self._send({"type": "http.response.body", "body": _KEEP_ALIVE, "more_body": True})


class _DisconnectWatch:
    """Cancels the current task when the caller goes away. It begins a moment later: most quick answers never pay for it."""

    def __init__(self, receive: Receive) -> None:
        work = asyncio.current_task()
        assert work is not None
        self._work = work
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._begin)

    def stop(self) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def has_cancelled(self) -> bool:
        """Return whether it was this watch that cancelled the task; takes the cancellation back if so."""
        task = self._task
        return task is not None and task.done() and not task.cancelled() and self._work.uncancel() == 0

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._work.cancel()


def new_request_id() -> str:
    """Return a fresh request id: `req_` and 96 random bits in hex."""
    return "req_" + os.urandom(12).hex()


def _tags(header: bytes | None) -> tuple[str, ...]:
    if header is None:
        return ()
    tags = tuple(tag.strip() for tag in header.decode("latin-1").split(",") if tag.strip())
    if len(tags) > _MAX_TAGS:
        raise BadRequestError(f"x-llmdeal-tags has {len(tags)} tags; the limit is {_MAX_TAGS}", param="x-llmdeal-tags")
    return tags


def _conversation_id(request: ChatRequest, header: bytes | None, account: str) -> str:
    """Return a hash of the caller's session id, else its prompt cache key, else of how the conversation began."""
    named = request.session_id or (header.decode("latin-1")[:256] if header else None) or request.prompt_cache_key
    if named is None:
        messages = request.messages
        opening = [messages[0]]
        if messages[0].role in ("system", "developer"):
            opening += [message for message in messages if message.role == "user"][:1]
        named = "\n".join(message.content if isinstance(message.content, str) else "" for message in opening)
    return hashlib.blake2b(f"{account}\n{named}".encode(errors="replace"), digest_size=12).hexdigest()
