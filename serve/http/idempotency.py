"""The header `Idempotency-Key` at the endpoints that answer, as draft-ietf-httpapi-idempotency-key-header-06 has it (read 2026-11-24)."""

import asyncio
import hashlib
import re
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

from serve.errors import BadRequestError
from serve.http.answer_recorder import AnswerRecorder
from serve.http.asgi import Event, Receive, Scope, Send, read_body
from serve.http.doors import Door
from serve.http.hot_paths import HotEndpoint
from serve.idempotency.answer_keeper import AnswerKeeper
from serve.idempotency.recorded_answer import RecordedAnswer
from serve.identity.virtual_keys import KeyRing, VirtualKeyHolder, presented_key

_HEADER: Final = b"idempotency-key"
_FORM: Final = re.compile(rb"[!-~]{1,255}")
# What changes an answer besides the body.
_TOLD_BY_HEADER: Final = (b"x-llmdeal-region", b"x-llmdeal-explain", b"anthropic-version", b"anthropic-beta")


class Idempotent:
    """An endpoint that answers a request once, however often it comes under one idempotency key. Without the header nothing is different.

    A request with the header goes on to its end when its caller goes away: whoever sent it will ask again, and is charged once.

    Args:
        endpoint: Answers.
        key_ring: The virtual keys; idempotency keys are unique in an account.
        keeper: Of the answers.
        max_body_bytes: Larger requests are refused.
        max_kept_bytes: Longer answers are not kept.
    """

    def __init__(
        self, endpoint: HotEndpoint, key_ring: KeyRing, keeper: AnswerKeeper, max_body_bytes: int, max_kept_bytes: int
    ) -> None:
        self._endpoint = endpoint
        self._key_ring = key_ring
        self._keeper = keeper
        self._max_body_bytes = max_body_bytes
        self._max_kept_bytes = max_kept_bytes

    @property
    def door(self) -> Door:
        """The endpoint's."""
        return self._endpoint.door

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Answer one request."""
        for name, value in scope["headers"]:
            if name == _HEADER:
                return self._answer_once(value, scope, receive, send)
        return self._endpoint(scope, receive, send)

    async def _answer_once(self, idempotency_key: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        holder = self._key_ring.recognise(presented_key(headers.get(b"authorization"), headers.get(b"x-api-key")))
        if "inference" not in holder.scopes:
            await self._endpoint(scope, receive, send)  # which says why not
            return
        if not _FORM.fullmatch(idempotency_key):
            raise BadRequestError(
                "idempotency-key: write 1 to 255 visible ASCII characters, a fresh UUID for each request",
                param="idempotency-key",
            )
        body = await read_body(receive, self._max_body_bytes)
        print_of_it = _fingerprint(scope["path"], holder, headers, body)
        found = await self._keeper.claim(holder.account, idempotency_key.decode("ascii"), print_of_it)
        if isinstance(found, RecordedAnswer):
            await _send_again(found, send)
            return
        recorder = AnswerRecorder(send, partial(self._keeper.keep, found), self._max_kept_bytes)
        try:
            await self._endpoint(scope, _ReadBody(body).receive, recorder.send)
        finally:
            if not recorder.is_kept:
                await self._keeper.release(found)


class _ReadBody:
    """What an endpoint receives: the body that was read, and after that nothing, not even that the caller has left."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def receive(self) -> Event:
        if self._body is None:
            await asyncio.get_running_loop().create_future()  # until the endpoint is done and stops listening
        body, self._body = self._body, None
        return {"type": "http.request", "body": body}


def _fingerprint(path: str, holder: VirtualKeyHolder, headers: dict[bytes, bytes], body: bytes) -> bytes:
    """Return a hash that is equal for requests that must get the same answer: another virtual key may not use the same lanes."""
    parts = [path.encode(), holder.virtual_key_id.encode(), *(headers.get(name, b"") for name in _TOLD_BY_HEADER), body]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


async def _send_again(answer: RecordedAnswer, send: Send) -> None:
    body = answer.body or b""
    headers = [*answer.headers, (b"content-length", str(len(body)).encode()), (b"idempotent-replayed", b"true")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
