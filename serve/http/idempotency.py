"""The header `Idempotency-Key` at the endpoints that answer.

It follows draft-ietf-httpapi-idempotency-key-header-06 (read 2026-11-24).
"""

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
# Headers that change the answer, in addition to the body.
_SIGNIFICANT_HEADERS: Final = (b"x-llmdeal-region", b"x-llmdeal-explain", b"anthropic-version", b"anthropic-beta")


class Idempotent:
    """An endpoint that answers requests with the same idempotency key once, and gives later ones the same answer.

    Requests without the header are not changed. A request with the header runs to its end even if its caller goes away:
    the caller will ask again, and is charged once.

    Args:
        endpoint: Endpoint that answers.
        key_ring: Virtual keys; idempotency keys are unique in an account.
        keeper: Object that keeps the answers.
        max_body_bytes: Size of the largest request body that is read.
        max_kept_bytes: Length of the longest answer that is kept.
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
        """Door of the endpoint."""
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
            await self._endpoint(scope, receive, send)  # it answers with the error
            return
        if not _FORM.fullmatch(idempotency_key):
            raise BadRequestError(
                "idempotency-key is not 1 to 255 visible ASCII characters. Send a fresh UUID with each request.",
                param="idempotency-key",
            )
        body = await read_body(receive, self._max_body_bytes)
        fingerprint = _fingerprint(scope["path"], holder, headers, body)
        claim = await self._keeper.claim(holder.account, idempotency_key.decode("ascii"), fingerprint)
        if isinstance(claim, RecordedAnswer):
            await _send_again(claim, send)
            return
        recorder = AnswerRecorder(send, partial(self._keeper.keep, claim), self._max_kept_bytes)
        try:
            await self._endpoint(scope, _ReadBody(body).receive, recorder.send)
        finally:
            if not recorder.is_kept:
                await self._keeper.release(claim)


class _ReadBody:
    """The events that an endpoint receives: the body that was read, and then none, even if the caller goes away."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def receive(self) -> Event:
        if self._body is None:
            await asyncio.get_running_loop().create_future()  # until the endpoint is done and stops listening
        body, self._body = self._body, None
        return {"type": "http.request", "body": body}


def _fingerprint(path: str, holder: VirtualKeyHolder, headers: dict[bytes, bytes], body: bytes) -> bytes:
    """Return a hash that is equal for requests that must get the same answer.

    The virtual key is part of it, because another key may not use the same lanes.
    """
    significant = (headers.get(name, b"") for name in _SIGNIFICANT_HEADERS)
    parts = [path.encode(), holder.virtual_key_id.encode(), *significant, body]
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
