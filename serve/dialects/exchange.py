"""The ports between the proxy and the dialects: how a call goes from one dialect to another, and its answer back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from router.lane import Lane
from router.price_table import Cost, TokenUsage
from serve.dialects.inquiry import Inquiry
from serve.dialects.quirks import Quirks


@dataclass(frozen=True, slots=True)
class Bill:
    """What the gateway adds to an answer.

    Args:
        cost: Cost of the answer's tokens.
        explanation: Explanation of the decision, which JSON can hold. None: the caller did not ask for it.
    """

    cost: Cost
    explanation: object = None


Settle = Callable[[TokenUsage], Bill]


class WholeReply(Protocol):
    """An unstreamed answer as read from the provider."""

    @property
    def usage(self) -> TokenUsage:
        """Tokens; estimated if the provider sent none."""
        ...

    @property
    def finish_reason(self) -> str | None:
        """Reason why the answer ended, in the provider's word or in ours."""
        ...

    @property
    def text(self) -> str | None:
        """Text of the answer; None: it has none (a tool call, say)."""
        ...

    def body(self, bill: Bill) -> dict[str, Any]:
        """Return the body for the caller, the cost in its usage."""
        ...


class StreamRelay(Protocol):
    """One streamed answer on its way to the caller. Pure: bytes in, bytes out; the proxy does the waiting."""

    finish_reason: str | None
    has_content: bool
    error: str | None

    @property
    def is_done(self) -> bool:
        """Whether the provider ended the stream."""
        ...

    @property
    def usage(self) -> TokenUsage:
        """Tokens so far: the provider's count if it came already, else our estimate."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete: the provider ended the stream, or gave a finish reason."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes for the caller that these bytes of the provider complete.

        Raises:
            ValueError: The stream is not of the provider's dialect.
        """
        ...

    def finish(self) -> bytes:
        """Return the last bytes for the caller, once the provider's stream has ended."""
        ...

    def break_off(self, message: str, code: str) -> bytes:
        """Return the error event for a stream that broke after its first byte."""
        ...


class StreamedWhole:
    """A whole answer that is sent as a stream; see `StreamRelay`. All of it comes from `finish`.

    Args:
        reply: The answer.
        stream: Bytes of the stream, to its end.
    """

    has_content = True
    is_done = True
    is_complete = True

    def __init__(self, reply: WholeReply, stream: bytes) -> None:
        self.usage = reply.usage
        self.finish_reason = reply.finish_reason
        self.error: str | None = None
        self._stream = stream

    def feed(self, chunk: bytes) -> bytes:
        """Return nothing: nothing comes after a whole answer."""
        return b""

    def finish(self) -> bytes:
        """Return the whole stream."""
        return self._stream

    def break_off(self, message: str, code: str) -> bytes:
        """Return nothing: a whole answer does not break."""
        return b""


class Exchange(Protocol):
    """Carrier of calls between two dialects, which may be the same."""

    def encode_request(self, inquiry: Inquiry, lane: Lane, quirks: Quirks) -> bytes:
        """Return the body to send. The caller's body is not changed: a fallback lane starts from it again.

        Raises:
            BadRequestError: A field that only the translation reads is malformed; the error names it.
        """
        ...

    def read_whole(self, raw: bytes, prompt_tokens: int, quirks: Quirks, inquiry: Inquiry | None = None) -> WholeReply:
        """Read a whole answer.

        Args:
            raw: Body of the response.
            prompt_tokens: Our estimate of the prompt's tokens, for a provider that sends no usage.
            quirks: Quirks of the provider.
            inquiry: Request that is answered. None: it offered plain functions only.

        Raises:
            ValueError: The body is not an answer in the provider's dialect.
        """
        ...

    def relay(self, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None) -> StreamRelay:
        """Return a relay for one stream; the arguments are those of `read_whole`."""
        ...

    def relay_whole(
        self, raw: bytes, prompt_tokens: int, settle: Settle, quirks: Quirks, inquiry: Inquiry | None = None
    ) -> "StreamedWhole":
        """Return a whole answer as a stream: some servers do not stream although they are asked to.

        Raises:
            ValueError: The body is not an answer in the provider's dialect.
        """
        ...
