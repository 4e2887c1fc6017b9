"""Messages for a caller and a provider of this dialect: bodies are passed on with few changes."""

from dataclasses import dataclass
from typing import Any

import msgspec

from router.lane import Capability, Lane
from router.price_table import TokenUsage
from serve.dialects.anthropic.caller import MessagesCaller, broken_stream
from serve.dialects.anthropic.thinking import as_taken, set_thinking
from serve.dialects.anthropic.upstream import MessagesUpstream, StreamEvent, decode_event, read_message
from serve.dialects.anthropic.usage import Usage, read_usage, usage_block
from serve.dialects.cost_fields import cost_fields
from serve.dialects.exchange import Bill, Settle, StreamedWhole, StreamRelay, WholeReply
from serve.dialects.inquiry import Body, Inquiry
from serve.dialects.lenient import as_text, words_of
from serve.dialects.neutral.request import Reasoning
from serve.dialects.quirks import Quirks
from serve.dialects.routing_fields import OUR_FIELDS
from serve.dialects.sse import EventSplitter, event_data
from serve.dialects.translation import Translation
from serve.dialects.usage_estimate import estimate_usage

_DELTAS_WITH_TEXT = ("text", "thinking", "partial_json")
_BLOCKS_OF_DELTAS = frozenset({"text", "thinking"})
"""Types of blocks that begin empty."""


class NativeMessages:
    """See `serve.dialects.exchange.Exchange`."""

    def encode_request(self, inquiry: Inquiry, lane: Lane, quirks: Quirks) -> bytes:
        """Return the caller's body without the gateway's own fields; fields that this model refuses are rewritten."""
        body = {name: value for name, value in inquiry.body.items() if name not in OUR_FIELDS}
        body["model"] = lane.upstream_model
        effort = inquiry.effort_to_set(lane)
        if inquiry.context.effort is not None and not lane.capabilities & Capability.REASONING:
            _leave_thinking_out(body)
        elif effort is None:
            as_taken(body, takes_budget=quirks.takes_thinking_budget)
        else:
            set_thinking(body, Reasoning(effort, is_shown=False), takes_budget=quirks.takes_thinking_budget)
        if inquiry.has_unsigned_thoughts and quirks.drops_unsigned_thoughts:
            body["messages"] = [kept for message in body["messages"] if (kept := _without_unsigned(message))]
        for name in [name for name in quirks.exclusive_parameters if body.get(name) is not None][1:]:
            del body[name]
        for name in body.keys() & quirks.dropped_parameters:
            del body[name]
        body.update(quirks.added_fields)
        return msgspec.json.encode(body)

    def read_whole(self, raw: bytes, prompt_tokens: int, quirks: Quirks, inquiry: Inquiry | None = None) -> WholeReply:
        """Read a message."""
        message = read_message(raw)
        text = "".join(as_text(block.text) or "" for block in message.content or ()) or None
        usage = read_usage(message.usage) or estimate_usage(prompt_tokens, len(text or ""))
        return MessagesReply(msgspec.json.decode(raw), usage, message.stop_reason, text)

    def relay(self, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None) -> StreamRelay:
        """Return a relay that passes events on byte for byte, except the one with the final usage."""
        return MessagesStreamRelay(prompt_tokens, settle)

    def relay_whole(
        self, raw: bytes, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None
    ) -> StreamedWhole:
        """Return a whole answer as a stream."""
        return Translation(MessagesCaller(), MessagesUpstream()).relay_whole(
            raw, prompt_tokens, settle, quirks, inquiry
        )


def _without_unsigned(message: Body) -> Body | None:
    """Return a message without thoughts that no vendor signed. None: nothing else is in it.

    The API refuses such thoughts, and joins the turns around a message that is left out.
    """
    content = message["content"]
    if not isinstance(content, list):
        return message
    kept = [block for block in content if block.get("type") != "thinking" or block.get("signature")]
    return {**message, "content": kept} if kept or not content else None


def _leave_thinking_out(body: Body) -> None:
    """Take thinking that is left to the model out of a body: a model that does not think refuses the field."""
    thinking = body.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") != "adaptive":
        return
    del body["thinking"]
    config = {name: value for name, value in (body.get("output_config") or {}).items() if name != "effort"}
    body.pop("output_config", None)
    if config:
        body["output_config"] = config


@dataclass(frozen=True, slots=True)
class MessagesReply:
    """A whole answer; see `serve.dialects.exchange.WholeReply`."""

    raw_body: dict[str, Any]
    usage: TokenUsage
    finish_reason: str | None
    text: str | None

    def body(self, bill: Bill) -> dict[str, Any]:
        """Return the provider's JSON with the cost in its usage."""
        body = self.raw_body
        body["usage"] = {**(body.get("usage") or usage_block(self.usage)), **cost_fields(self.usage, bill.cost)}
        if bill.explanation is not None:
            body["llmdeal"] = bill.explanation
        return body


class MessagesStreamRelay:
    """One stream on its way to the caller; see `serve.dialects.exchange.StreamRelay`."""

    def __init__(self, prompt_tokens: int, settle: Settle) -> None:
        self._splitter = EventSplitter()
        self._prompt_tokens = prompt_tokens
        self._settle = settle
        self._block = Usage()
        self._characters = 0
        self.finish_reason: str | None = None
        self.has_content = False
        self.is_done = False
        self.error: str | None = None

    @property
    def usage(self) -> TokenUsage:
        """Tokens so far. Those of the answer are estimated until the provider has counted them."""
        counted = read_usage(self._block)
        if counted is None or (self.finish_reason is None and self._characters):
            prompt_tokens = counted.prompt_tokens if counted else self._prompt_tokens
            return estimate_usage(prompt_tokens, self._characters)
        return counted

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete."""
        return self.error is None and (self.is_done or self.finish_reason is not None)

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes for the caller that these bytes of the provider complete."""
        return b"".join([self._relay(event) for event in self._splitter.feed(chunk)])

    def finish(self) -> bytes:
        """Return an event whose end is missing, if there is one. The provider's own end was passed on already."""
        rest = self._splitter.pending
        return self._relay(rest + b"\n\n") if rest.strip() else b""

    def break_off(self, message: str, code: str) -> bytes:
        """Return the error event of the dialect."""
        self.error = code
        usage = self.usage
        return broken_stream(message, code, usage, self._settle(usage))

    def _relay(self, raw: bytes) -> bytes:
        data = event_data(raw)
        if data is None:
            return raw
        try:
            event = decode_event(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return raw
        self._note(event)
        return self._with_cost(data) if event.type == "message_delta" and self.finish_reason is not None else raw

    def _note(self, event: StreamEvent) -> None:
        if event.type == "content_block_delta" and event.delta is not None:
            self.has_content = True
            self._characters += sum(len(getattr(event.delta, name) or "") for name in _DELTAS_WITH_TEXT)
        elif event.type == "content_block_start" and event.content_block is not None:
            if event.content_block.type not in _BLOCKS_OF_DELTAS:
                self.has_content = True
        elif event.type == "message_start" and event.message is not None and event.message.usage is not None:
            self._block = self._block.updated(event.message.usage)
        elif event.type == "message_delta":
            self._block = self._block.updated(event.usage or Usage())
            self.finish_reason = (event.delta.stop_reason if event.delta else None) or self.finish_reason
        elif event.type == "message_stop":
            self.is_done = True
        elif event.type == "error":
            self.error = words_of(event.error)

    def _with_cost(self, data: bytes) -> bytes:
        body = msgspec.json.decode(data)
        usage = self.usage
        bill = self._settle(usage)
        body["usage"] = {**(body.get("usage") or {}), **cost_fields(usage, bill.cost)}
        if bill.explanation is not None:
            body["llmdeal"] = bill.explanation
        return b"event: message_delta\ndata: " + msgspec.json.encode(body) + b"\n\n"
