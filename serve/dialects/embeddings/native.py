"""Embeddings for a caller and a provider of this dialect: bodies are passed on, and the usage gains the cost."""

from dataclasses import dataclass
from typing import Any

import msgspec

from router.lane import Lane
from router.price_table import TokenUsage
from serve.dialects.exchange import Bill, Settle, StreamedWhole, StreamRelay, WholeReply
from serve.dialects.inquiry import Inquiry
from serve.dialects.openai.upstream_request import encode_upstream_body
from serve.dialects.openai.usage import usage_with_cost
from serve.dialects.provider_json import decoded
from serve.dialects.quirks import Quirks


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Answer(msgspec.Struct):
    data: list[msgspec.Raw]
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class NativeEmbeddings:
    """See `serve.dialects.exchange.Exchange`."""

    def encode_request(self, inquiry: Inquiry, lane: Lane, quirks: Quirks) -> bytes:
        """Return the caller's body without the gateway's own fields."""
        return encode_upstream_body(inquiry.body, lane.upstream_model)

    def read_whole(self, raw: bytes, prompt_tokens: int, quirks: Quirks, inquiry: Inquiry | None = None) -> WholeReply:
        """Read the usage of an answer; the vectors are not decoded."""
        usage = decoded(_decode, raw, "the provider's answer holds no embeddings").usage or _Usage()
        counted = usage.prompt_tokens if usage.prompt_tokens is not None else usage.total_tokens
        tokens = TokenUsage(prompt_tokens, 0, is_estimated=True) if counted is None else TokenUsage(max(counted, 0), 0)
        return EmbeddingsReply(raw, tokens)

    def relay(self, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None) -> StreamRelay:
        """Refuse: embeddings do not come as a stream, and no door asks for one.

        Raises:
            ValueError: Always.
        """
        raise ValueError("embeddings do not come as a stream")

    def relay_whole(
        self, raw: bytes, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None
    ) -> StreamedWhole:
        """Refuse, as `relay` does.

        Raises:
            ValueError: Always.
        """
        raise ValueError("embeddings do not come as a stream")


@dataclass(frozen=True, slots=True)
class EmbeddingsReply:
    """A whole answer; see `serve.dialects.exchange.WholeReply`."""

    raw: bytes
    usage: TokenUsage
    finish_reason: str | None = None
    text: str | None = None

    def body(self, bill: Bill) -> dict[str, Any]:
        """Return the provider's JSON with the cost in its usage; the vectors keep their bytes."""
        body: dict[str, Any] = msgspec.json.decode(self.raw, type=dict[str, msgspec.Raw])
        usage = msgspec.json.decode(body["usage"]) if "usage" in body else None
        block = usage_with_cost(usage, self.usage, bill.cost)
        del block["completion_tokens"]
        body["usage"] = block
        if bill.explanation is not None:
            body["llmdeal"] = bill.explanation
        return body
