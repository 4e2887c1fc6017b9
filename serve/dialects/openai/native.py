"""Chat completions for a caller and a provider of this dialect: bodies are passed on with few changes."""

from router.lane import Lane
from serve.dialects.exchange import Settle, StreamRelay, WholeReply
from serve.dialects.inquiry import Inquiry
from serve.dialects.openai.answer import parse_answer
from serve.dialects.openai.stream_relay import ChatStreamRelay
from serve.dialects.openai.upstream_request import encode_upstream_body
from serve.dialects.quirks import Quirks


class NativeChat:
    """See `serve.dialects.exchange.Exchange`."""

    def encode_request(self, inquiry: Inquiry, lane: Lane, quirks: Quirks) -> bytes:
        """Return the caller's body without our own fields, with the lane's effort and the provider's quirks."""
        effort = inquiry.effort_to_set(lane)
        body = inquiry.body if effort is None else {**inquiry.body, "reasoning_effort": effort}
        return encode_upstream_body(body, lane.upstream_model, quirks)

    def read_whole(self, raw: bytes, prompt_tokens: int, quirks: Quirks) -> WholeReply:
        """Read a chat completion."""
        return parse_answer(raw, prompt_tokens, is_reasoning_outside=quirks.is_reasoning_outside)

    def relay(self, prompt_tokens: int, settle: Settle, quirks: Quirks) -> StreamRelay:
        """Return a relay that passes events on byte for byte, except the one with the usage."""
        return ChatStreamRelay(prompt_tokens, settle, is_reasoning_outside=quirks.is_reasoning_outside)
