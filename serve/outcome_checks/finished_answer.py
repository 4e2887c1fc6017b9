"""A complete answer as it leaves the request path: the request, and the unread bytes of the provider."""

from dataclasses import dataclass

from serve.dialects.inquiry import Inquiry
from serve.dialects.quirks import Quirks


@dataclass(frozen=True, slots=True)
class FinishedAnswer:
    """One complete answer.

    Args:
        request_id: Id of the request.
        asker: Account and virtual key of the caller.
        conversation_id: Hash that requests of one conversation share.
        inquiry: The request.
        dialect: Dialect that the lane answered in.
        quirks: Quirks of the lane's provider.
        raw: Bytes that the provider sent: a body, or the pieces of a stream.
        text: Text of the answer, as the gateway read it; None: it was not read, or there is none.
        finish_reason: Reason for the end, in the provider's word or ours.
        asked: Monotonic clock, in seconds, when the request came in.
        answered: Monotonic clock, in seconds, when the answer ended.
    """

    request_id: str
    asker: tuple[str, str]
    conversation_id: str
    inquiry: Inquiry
    dialect: str
    quirks: Quirks
    raw: bytes | tuple[bytes, ...]
    text: str | None
    finish_reason: str | None
    asked: float
    answered: float

    @property
    def n_bytes(self) -> int:
        """Approximate memory that it holds."""
        answer = len(self.raw) if isinstance(self.raw, bytes) else sum(map(len, self.raw))
        return answer + self.inquiry.context.prompt_characters
