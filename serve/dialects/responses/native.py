"""Responses for a caller and a provider of this dialect: bodies are passed on with few changes."""

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw, Struct

from router.lane import Capability, Lane
from router.price_table import TokenUsage
from serve.dialects.exchange import Bill, Settle, StreamedWhole, StreamRelay, WholeReply
from serve.dialects.inquiry import Inquiry
from serve.dialects.lenient import as_text, objects_in, words_of
from serve.dialects.provider_json import decoded
from serve.dialects.quirks import Quirks
from serve.dialects.responses.usage import Usage, read_usage, usage_with_cost
from serve.dialects.routing_fields import OUR_FIELDS
from serve.dialects.sse import EventSplitter, event_data
from serve.dialects.usage_estimate import estimate_usage

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_ITEMS_OF_DELTAS = frozenset({"message", "reasoning"})
"""Types of items that begin empty."""


class _Item(Struct):
    """An item of the output; which type its fields have depends on the item's type."""

    type: str = ""
    content: Any = None
    arguments: Any = None
    action: Any = None

    @property
    def text(self) -> str:
        """Text of a message."""
        return "".join(as_text(piece.get("text")) or "" for piece in objects_in(self.content))

    @property
    def billed_type(self) -> str:
        """Type of the item; a web search that only opens a page or looks for a word in it is not billed as one."""
        kind = self.action.get("type", "search") if isinstance(self.action, dict) else "search"
        return self.type if self.type != "web_search_call" or kind == "search" else f"{self.type}:{kind}"


class _Response(Struct):
    object: Any = None
    status: Any = None
    output: list[_Item] | None = None
    usage: Usage | None = None
    service_tier: Any = None
    error: Raw = Raw()

    def read_usage(self) -> TokenUsage | None:
        """Return the tokens, service tier and searches. None: it has no counts."""
        return read_usage(self.usage, self.service_tier, [item.billed_type for item in self.output or ()])


class _Event(Struct):
    type: str = ""
    delta: Any = None
    response: _Response | None = None
    item: _Item | None = None
    message: Any = None
    error: Any = None


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_response = msgspec.json.Decoder(_Response).decode


class NativeResponses:
    """See `serve.dialects.exchange.Exchange`."""

    def encode_request(self, inquiry: Inquiry, lane: Lane, quirks: Quirks) -> bytes:
        """Return the caller's body without the gateway's own fields.

        The provider stores nothing unless the caller asks for it: another provider may answer the next request.
        """
        body = {name: value for name, value in inquiry.body.items() if name not in OUR_FIELDS}
        body["model"] = lane.upstream_model
        body.setdefault("store", False)
        effort = inquiry.effort_to_set(lane)
        if effort is not None:
            body["reasoning"] = {"effort": effort}
        elif inquiry.context.effort == "medium" and not lane.capabilities & Capability.REASONING:
            body.pop("reasoning", None)  # the usual effort; a model that does not reason refuses the field
        for name in body.keys() & quirks.dropped_parameters:
            del body[name]
        return msgspec.json.encode(body)

    def read_whole(self, raw: bytes, prompt_tokens: int, quirks: Quirks, inquiry: Inquiry | None = None) -> WholeReply:
        """Read a response."""
        response = decoded(_decode_response, raw, "the provider's answer is not a response")
        if response.output is None or response.status == "failed":
            raise ValueError("the provider's answer is not a response: it has no output")
        text = "".join(item.text for item in response.output if item.type == "message")
        arguments = sum(len(str(item.arguments or "")) for item in response.output)
        usage = response.read_usage() or estimate_usage(prompt_tokens, len(text) + arguments)
        return ResponsesReply(msgspec.json.decode(raw), usage, as_text(response.status), text or None)

    def relay(self, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None) -> StreamRelay:
        """Return a relay that passes events on byte for byte, except the last one, which has the usage."""
        return ResponsesStreamRelay(prompt_tokens, settle)

    def relay_whole(
        self, raw: bytes, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None
    ) -> StreamedWhole:
        """Return a whole answer as a stream of its first and its last event."""
        reply = self.read_whole(raw, prompt_tokens, quirks, inquiry)
        body = reply.body(settle(reply.usage))
        begun = {**body, "status": "in_progress", "output": [], "usage": None}
        created = _encode_event("response.created", {"type": "response.created", "response": begun})
        kind = "response.incomplete" if reply.finish_reason == "incomplete" else "response.completed"
        return StreamedWhole(reply, created + _encode_event(kind, {"type": kind, "response": body}))


@dataclass(frozen=True, slots=True)
class ResponsesReply:
    """A whole answer; see `serve.dialects.exchange.WholeReply`."""

    raw_body: dict[str, Any]
    usage: TokenUsage
    finish_reason: str | None
    text: str | None

    def body(self, bill: Bill) -> dict[str, Any]:
        """Return the provider's JSON with the cost in its usage."""
        return with_cost(self.raw_body, self.usage, bill)


class ResponsesStreamRelay:
    """One stream on its way to the caller; see `serve.dialects.exchange.StreamRelay`."""

    def __init__(self, prompt_tokens: int, settle: Settle) -> None:
        self._splitter = EventSplitter()
        self._prompt_tokens = prompt_tokens
        self._settle = settle
        self._usage: TokenUsage | None = None
        self._characters = 0
        self.finish_reason: str | None = None
        self.has_content = False
        self.error: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether the provider ended the stream."""
        return self.finish_reason is not None

    @property
    def usage(self) -> TokenUsage:
        """Tokens so far."""
        return self._usage or estimate_usage(self._prompt_tokens, self._characters)

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete."""
        return self.error is None and self.finish_reason is not None

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes for the caller that these bytes of the provider complete."""
        return b"".join([self._relay(event) for event in self._splitter.feed(chunk)])

    def finish(self) -> bytes:
        """Return nothing: the provider's own end was passed on already."""
        return b""

    def break_off(self, message: str, code: str) -> bytes:
        """Return the error event of the dialect."""
        self.error = code
        block = usage_with_cost(None, self.usage, self._settle(self.usage))
        error = {"code": "server_error", "message": f"{message} ({code})"}
        response = {"object": "response", "status": "failed", "output": [], "error": error, "usage": block}
        return _encode_event("response.failed", {"type": "response.failed", "response": response})

    def _relay(self, raw: bytes) -> bytes:
        data = event_data(raw)
        if data is None:
            return raw
        try:
            event = _decode_event(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return raw
        if event.delta is not None:
            self.has_content = True
            self._characters += len(event.delta if isinstance(event.delta, str) else str(event.delta))
        elif event.type == "response.output_item.added" and event.item is not None:
            self.has_content = self.has_content or event.item.type not in _ITEMS_OF_DELTAS
        if event.type == "error":
            self.error = words_of(event.error or event.message)
        if event.type not in _ENDS or event.response is None:
            return raw
        self._usage = event.response.read_usage()
        if event.type == "response.failed":
            failure = bytes(event.response.error)
            self.error = failure.decode() if failure not in (b"", b"null") else "the provider failed"
            return raw
        self.finish_reason = as_text(event.response.status) or "completed"
        body = msgspec.json.decode(data)
        with_cost(body["response"], self.usage, self._settle(self.usage))
        return _encode_event(event.type, body)


def with_cost(response: dict[str, Any], usage: TokenUsage, bill: Bill) -> dict[str, Any]:
    """Return a response with the cost in its usage; the response itself is changed."""
    response["usage"] = usage_with_cost(response.get("usage"), usage, bill)
    if bill.explanation is not None:
        response["llmdeal"] = bill.explanation
    return response


def _encode_event(kind: str, body: dict[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(body) + b"\n\n"
