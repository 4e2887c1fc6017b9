"""Admission, shared by all endpoints that decide: from bytes to a `Call`. On the hot path."""

import hashlib

from serve.clock import Clock
from serve.dialects.field_needs import NO_NEEDS
from serve.dialects.inquiry import Inquiry
from serve.errors import BadRequestError, ForbiddenError, UnknownModelError
from serve.hot_swap.unlisted_lanes import UnlistedLanes
from serve.http.asgi import Receive, Scope, read_body
from serve.http.content_encoding import unpacked
from serve.http.doors import Door
from serve.http.request_ids import RequestIds
from serve.identity.virtual_keys import KeyRing, VirtualKeyHolder, presented_key
from serve.lanes.directory import LaneDirectory
from serve.money.spending import Spending
from serve.rate_limits.key_limits import KeyLimits
from serve.routing.call import Call
from serve.routing.request import RoutingRequest, routing_request
from serve.routing.service import RoutingService

Headers = dict[bytes, bytes]

HOLDER_KEY = "llmdeal.holder"
"""Key of the caller in a scope, if the gateway itself recognised it before. The server makes scopes, so no client can
set it."""
_MAX_TAGS = 32


class Admission:
    """Turns a request into a `Call`: the caller, its request, and the lanes that may answer it.

    Args:
        key_ring: Virtual keys.
        routing: Service that decides.
        clock: Clock for durations and dates.
        spending: Budgets and the accounts that pay.
        key_limits: Limits of virtual keys in a minute.
        max_body_bytes: Size of the largest body that is read.
        unlisted: Maker of lanes for models that no list has; None: they are refused.
        strict_fields: Whether fields that the gateway does not know keep a request with lanes of its dialect.
    """

    def __init__(
        self,
        key_ring: KeyRing,
        routing: RoutingService,
        clock: Clock,
        spending: Spending,
        key_limits: KeyLimits,
        max_body_bytes: int,
        unlisted: UnlistedLanes | None = None,
        *,
        strict_fields: bool = False,
    ) -> None:
        self._key_ring = key_ring
        self._routing = routing
        self._clock = clock
        self._spending = spending
        self._key_limits = key_limits
        self._max_body_bytes = max_body_bytes
        self._unlisted = unlisted
        self._strict_fields = strict_fields
        self._request_ids = RequestIds()

    async def admit(self, scope: Scope, receive: Receive, door: Door, *, is_rehearsed: bool = False) -> Call:
        """Authenticate, read, validate and decide.

        Args:
            scope, receive: ASGI's arguments of the request.
            door: Dialect in which the request came.
            is_rehearsed: Whether no lane is going to answer it.

        Raises:
            RequestError: The request cannot be admitted; the error has the status.
            ClientDisconnected: The caller went away.
        """
        started = self._clock.monotonic()
        headers = dict(scope["headers"])
        holder = self._recognise(scope, headers)
        allowance = await self._key_limits.take_request(holder) if holder.is_limited else None
        directory = self._routing.directories.of(holder.account)
        raw = await read_body(receive, self._max_body_bytes)
        if b"content-encoding" in headers:
            raw = await unpacked(raw, headers[b"content-encoding"], self._max_body_bytes)
        inquiry = door.read(raw)
        if self._strict_fields and inquiry.needs is not NO_NEEDS:
            inquiry.hold_to_dialect()
        for name in door.passed_headers:
            if name in headers:
                inquiry.passed_headers[name.decode()] = headers[name].decode("latin-1")
        try:
            routing = self._routing_request(inquiry, directory, headers)
        except UnknownModelError:
            if self._unlisted is None:
                raise
            names = [inquiry.fields.model, *(inquiry.fields.models or ())]
            directory = await self._unlisted.directory_for(holder.account, names)
            routing = self._routing_request(inquiry, directory, headers)
        conversation_id = _conversation_id(inquiry, headers.get(b"x-session-id"), holder.account)
        canary = self._routing.canary
        if canary is not None:
            directory = canary.directory_for(conversation_id, holder.account, directory)
        decision, prediction = await self._routing.route(
            inquiry.context, routing, conversation_id, directory, holder, is_rehearsed
        )
        if allowance is not None:
            expected_tokens = decision.expectation.completion_tokens[decision.order[0]]
            await self._key_limits.take_tokens(allowance, inquiry.context.prompt_tokens + expected_tokens)
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
        if not is_rehearsed:
            self._offer_to_shadow(call)
        return call

    def settle(self, call: Call) -> None:
        """Give back what a call took of its key's limits and did not use; once, at its end."""
        if call.allowance is not None:
            self._key_limits.settle(call.allowance, call.tokens_used)

    def _recognise(self, scope: Scope, headers: Headers) -> VirtualKeyHolder:
        holder: VirtualKeyHolder = scope.get(HOLDER_KEY) or self._key_ring.recognise(
            presented_key(headers.get(b"authorization"), headers.get(b"x-api-key"))
        )
        if "inference" not in holder.scopes:
            raise ForbiddenError(
                f"The virtual key {holder.virtual_key_id!r} may not ask models. Use a key with the scope 'inference'."
            )
        return holder

    def _routing_request(self, inquiry: Inquiry, directory: LaneDirectory, headers: Headers) -> RoutingRequest:
        region = headers.get(b"x-llmdeal-region")
        return routing_request(
            inquiry.fields,
            directory.table,
            self._routing.default_policy,
            None if region is None else region.decode("latin-1"),
            headers.get(b"x-llmdeal-explain") == b"1",
            inquiry.body.keys(),
            inquiry.context.effort,
        )

    def _offer_to_shadow(self, call: Call) -> None:
        shadow = self._routing.shadow
        if shadow is not None:
            situation = self._routing.situation(
                call.context,
                call.routing,
                call.conversation_id,
                call.directory,
                call.holder,
                lambda: call.decision.expectation.high_tokens,
            )
            shadow.offer(call, *situation)


def _tags(header: bytes | None) -> tuple[str, ...]:
    if header is None:
        return ()
    tags = tuple(tag.strip() for tag in header.decode("latin-1").split(",") if tag.strip())
    if len(tags) > _MAX_TAGS:
        raise BadRequestError(f"x-llmdeal-tags has {len(tags)} tags; the limit is {_MAX_TAGS}", param="x-llmdeal-tags")
    return tags


def _conversation_id(inquiry: Inquiry, header: bytes | None, account: str) -> str:
    """Return a hash of the caller's session id; without one, of the opening of the conversation."""
    name = inquiry.fields.session_id or (header.decode("latin-1")[:256] if header else None) or inquiry.opening
    return conversation_id_of(account, name)


def conversation_id_of(account: str, name: str) -> str:
    """Return the hash that all requests of one conversation of an account share.

    Args:
        account: Account of the caller.
        name: Name of the conversation: the caller's session id, or the opening of the conversation.
    """
    return hashlib.blake2b(f"{account}\n{name}".encode(errors="replace"), digest_size=12).hexdigest()
