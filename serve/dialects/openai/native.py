"""Chat completions for a caller and a provider of this dialect: bodies are passed on with few changes."""

from dataclasses import replace

from router.lane import Capability, Lane
from serve.dialects.exchange import Settle, StreamedWhole, StreamRelay, WholeReply
from serve.dialects.inquiry import Body, Inquiry
from serve.dialects.openai import NAME
from serve.dialects.openai.answer import parse_answer
from serve.dialects.openai.caller import ChatCaller
from serve.dialects.openai.request_writer import effort_of
from serve.dialects.openai.stream_relay import ChatStreamRelay
from serve.dialects.openai.upstream import ChatUpstream
from serve.dialects.openai.upstream_request import encode_upstream_body
from serve.dialects.prefill import without_prefill
from serve.dialects.quirks import Quirks
from serve.dialects.translation import Translation

_NONE: frozenset[str] = frozenset()
_REASONING_FIELDS = frozenset({"enable_thinking", "reasoning", "thinking", "thinking_budget"})
_USUAL_EFFORTS = ("medium", "default")


class NativeChat:
    """See `serve.dialects.exchange.Exchange`."""

    def encode_request(self, inquiry: Inquiry, lane: Lane, quirks: Quirks) -> bytes:
        """Return the caller's body without our own fields, with the lane's effort and the provider's quirks."""
        effort = inquiry.effort_to_set(lane)
        body = inquiry.body
        if effort is not None:
            body = {**body, "reasoning_effort": effort}
        elif inquiry.context.effort is not None:
            body = _with_effort(inquiry, lane, quirks)
        return encode_upstream_body(body, lane.upstream_model, quirks)

    def read_whole(self, raw: bytes, prompt_tokens: int, quirks: Quirks, inquiry: Inquiry | None = None) -> WholeReply:
        """Read a chat completion."""
        answer = parse_answer(raw, prompt_tokens, is_reasoning_outside=quirks.is_reasoning_outside)
        if inquiry is None or not answer.text:
            return answer
        text = without_prefill(answer.text, inquiry.body, raw)
        if text == answer.text:
            return answer
        answer.raw_body["choices"][0]["message"]["content"] = text
        return replace(answer, text=text)

    def relay(self, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None) -> StreamRelay:
        """Return a relay that passes events on byte for byte, except the one with the usage."""
        return ChatStreamRelay(
            prompt_tokens,
            settle,
            is_reasoning_outside=quirks.is_reasoning_outside,
            has_usage_chunk=inquiry is None or inquiry.has_usage_chunk,
        )

    def relay_whole(
        self, raw: bytes, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None
    ) -> StreamedWhole:
        """Return a whole answer as a stream."""
        return Translation(ChatCaller(), ChatUpstream()).relay_whole(raw, prompt_tokens, settle, quirks, inquiry)


def _with_effort(inquiry: Inquiry, lane: Lane, quirks: Quirks) -> Body:
    """Return the body with its effort of reasoning in a field that the provider knows.

    A model that does not reason gets no effort if the request asks for no more than the usual one.
    """
    body = inquiry.body
    if not lane.capabilities & Capability.REASONING and body.get("reasoning_effort") in _USUAL_EFFORTS:
        return {name: value for name, value in body.items() if name != "reasoning_effort"}
    unknown = quirks.unknown_fields.get(NAME, _NONE) & _REASONING_FIELDS & body.keys()
    if not unknown or body.get("reasoning_effort") is not None or not lane.capabilities & Capability.REASONING:
        return body
    reasoning = inquiry.neutral.reasoning
    return body if reasoning is None else {**body, "reasoning_effort": effort_of(reasoning)}
