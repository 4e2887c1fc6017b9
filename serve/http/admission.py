"""Admission, shared by all endpoints that decide: from bytes to a `Call`. On the hot path."""

import hashlib
import os

from serve.clock import Clock
from serve.dialects.inquiry import Inquiry
from serve.errors import BadRequestError, ForbiddenError
from serve.http.asgi import Receive, Scope, read_body
from serve.http.doors import Door
from serve.identity.virtual_keys import KeyRing, presented_key
from serve.money.spending import Spending
from serve.rate_limits.key_limits import KeyLimits
from serve.routing.call import Call
from serve.routing.request import routing_request
from serve.routing.service import RoutingService

HOLDER_KEY = "llmdeal.holder"
"""In a scope: who asks, where the gateway itself has recognised them already. No client can set it: scopes are made by the server."""
_MAX_TAGS = 32
_ID_BYTES = 12
_IDS_PER_DRAW = 256


class Admission:
    """Turns a request into a `Call`: who asks, what, and which lanes may answer.

    Args:
        key_ring: The virtual keys.
        routing: Decides.
        clock: For durations and dates.
        spending: Who pays.
        key_limits: How often keys may ask.
        max_body_bytes: Larger bodies are refused.
    """

    def __init__(
        self,
        key_ring: KeyRing,
        routing: RoutingService,
        clock: Clock,
        spending: Spending,
        key_limits: KeyLimits,
        max_body_bytes: int,
    ) -> None:
        self._key_ring = key_ring
        self._routing = routing
        self._clock = clock
        self._spending = spending
        self._key_limits = key_limits
        self._max_body_bytes = max_body_bytes
        self._request_ids = RequestIds()

    async def admit(self, scope: Scope, receive: Receive, door: Door, *, is_rehearsed: bool = False) -> Call:
        """Authenticate, read, validate and decide.

        Args:
            scope, receive: Of ASGI.
            door: Where the request came in.
            is_rehearsed: No lane is going to answer it.

        Raises:
            RequestError: Whatever is wrong, with its status.
            ClientDisconnected: The caller went away.
        """
        started = self._clock.monotonic()
        headers = dict(scope["headers"])
        holder = scope.get(HOLDER_KEY) or self._key_ring.recognise(
            presented_key(headers.get(b"authorization"), headers.get(b"x-api-key"))
        )
        if "inference" not in holder.scopes:
            raise ForbiddenError(
                f"the virtual key {holder.virtual_key_id!r} is not for asking models: its scopes lack 'inference'"
            )
        allowance = await self._key_limits.take_request(holder) if holder.is_limited else None
        directory = self._routing.directories.of(holder.account)
        inquiry = door.read(await read_body(receive, self._max_body_bytes))
        for name in door.passed_headers:
            if name in headers:
                inquiry.passed_headers[name.decode()] = headers[name].decode("latin-1")
        region = headers.get(b"x-llmdeal-region")
        routing = routing_request(
            inquiry.fields,
            directory.table,
            self._routing.default_policy,
            None if region is None else region.decode("latin-1"),
            headers.get(b"x-llmdeal-explain") == b"1",
            inquiry.body.keys(),
        )
        conversation_id = _conversation_id(inquiry, headers.get(b"x-session-id"), holder.account)
        canary = self._routing.canary
        if canary is not None:
            directory = canary.directory_for(conversation_id, holder.account, directory)
        decision, prediction = await self._routing.route(
            inquiry.context, routing, conversation_id, directory, holder, is_rehearsed
        )
        if allowance is not None:
            expected = inquiry.context.prompt_tokens + decision.expectation.completion_tokens[decision.order[0]]
            await self._key_limits.take_tokens(allowance, expected)
        call = Call(
            request_id=self._request_ids.take(),
            holder=holder,
            endpoint=scope["path"],
            tags=holder.tags + _tags(headers.get(b"x-llmdeal-tags")),
            conversation_id=conversation_id,
            inquiry=inquiry,
            routing=routing,
            prediction=prediction,
            decision=decision,
            directory=directory,
            spending=self._spending,
            allowance=allowance,
            started=started,
            started_at=self._clock.now(),
        )
        shadow = self._routing.shadow
        if shadow is not None and not is_rehearsed:
            shadow.offer(call, *self._routing.situation(inquiry.context, routing, conversation_id, directory, holder))
        return call

    def settle(self, call: Call) -> None:
        """Give back what a call took of its key's limits and did not use; once, at its end."""
        if call.allowance is not None:
            self._key_limits.settle(call.allowance, call.tokens_used)


class RequestIds:
    """Makes request ids: `req_` and 96 random bits in hex. Random bytes are drawn for many at once: each draw is a system call."""

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def take(self) -> str:
        """Return a fresh id."""
        if not self._drawn:
            digits = os.urandom(_ID_BYTES * _IDS_PER_DRAW).hex()
            self._drawn = [digits[start : start + 2 * _ID_BYTES] for start in range(0, len(digits), 2 * _ID_BYTES)]
        return "req_" + self._drawn.pop()


def _tags(header: bytes | None) -> tuple[str, ...]:
    if header is None:
        return ()
    tags = tuple(tag.strip() for tag in header.decode("latin-1").split(",") if tag.strip())
    if len(tags) > _MAX_TAGS:
        raise BadRequestError(f"x-llmdeal-tags has {len(tags)} tags; the limit is {_MAX_TAGS}", param="x-llmdeal-tags")
    return tags


def _conversation_id(inquiry: Inquiry, header: bytes | None, account: str) -> str:
    """Return a hash of the caller's session id, else of what its door says a conversation is known by."""
    named = inquiry.fields.session_id or (header.decode("latin-1")[:256] if header else None) or inquiry.opening
    return conversation_id_of(account, named)


def conversation_id_of(account: str, named: str) -> str:
    """Return the hash that all requests of one conversation of an account share.

    Args:
        account: Whose.
        named: What the conversation is known by: the caller's session id, or how it began.
    """
    return hashlib.blake2b(f"{account}\n{named}".encode(errors="replace"), digest_size=12).hexdigest()
