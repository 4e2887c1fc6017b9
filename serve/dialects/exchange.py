"""How a call gets from the caller's dialect to the provider's, and its answer back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from router.lane import Lane
from router.price_table import Cost, TokenUsage
from serve.dialects.inquiry import Inquiry
from serve.dialects.quirks import Quirks


@dataclass(frozen=True, slots=True)
class Bill:
    """What is added to an answer.

    Args:
        cost: Of its tokens.
        explanation: Of the decision, where the caller asked for it.
    """

    cost: Cost
    explanation: dict[str, Any] | None = None


Settle = Callable[[TokenUsage], Bill]


class WholeReply(Protocol):
    """An unstreamed answer as read from the provider."""

    @property
    def usage(self) -> TokenUsage:
        """Its tokens; estimated where the provider sent none."""
        ...

    @property
    def finish_reason(self) -> str | None:
        """Why it ended, in the provider's word or ours."""
        ...

    @property
    def text(self) -> str | None:
        """What was said; None when nothing was (a tool call, say)."""
        ...

    def body(self, bill: Bill) -> dict[str, Any]:
        """Return the body for the caller, the cost in its usage."""
        ...


class StreamRelay(Protocol):
    """One streamed answer on its way through. Pure: bytes in, bytes out; whoever holds it does the waiting."""

    finish_reason: str | None
    has_content: bool
    error: str | None

    @property
    def is_done(self) -> bool:
        """Whether the provider said that nothing more comes."""
        ...

    @property
    def usage(self) -> TokenUsage:
        """The tokens so far: the provider's count once it came, else our estimate."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the answer came to its end: the provider said so, or gave a finish reason."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Return what the caller may see once these bytes have come.

        Raises:
            ValueError: The stream is not of the provider's dialect.
        """
        ...

    def finish(self) -> bytes:
        """Return what is left to send when the provider's stream has ended."""
        ...

    def break_off(self, message: str, code: str) -> bytes:
        """Return the in-band error for a stream that broke after its first byte."""
        ...


class Exchange(Protocol):
    """Carries calls between two dialects, which may be the same."""

    def encode_request(self, inquiry: Inquiry, lane: Lane, quirks: Quirks) -> bytes:
        """Return the body to send. The caller's body is not changed: a fallback lane starts from it again.

        Raises:
            BadRequestError: The request is malformed where only translation looks; names the field.
        """
        ...

    def read_whole(self, raw: bytes, prompt_tokens: int, quirks: Quirks) -> WholeReply:
        """Read an answer.

        Args:
            raw: The response body.
            prompt_tokens: Our estimate, for a provider that sends no usage.
            quirks: Of the provider.

        Raises:
            ValueError: Not an answer in the provider's dialect.
        """
        ...

    def relay(self, prompt_tokens: int, settle: Settle, quirks: Quirks) -> StreamRelay:
        """Return a relay for one stream."""
        ...
