"""A complete answer as it leaves the request's path: what was asked, and the provider's bytes, not yet read again."""

from dataclasses import dataclass

from serve.dialects.inquiry import Inquiry
from serve.dialects.quirks import Quirks


@dataclass(frozen=True, slots=True)
class FinishedAnswer:
    """One answer that came to its end.

    Args:
        request_id: Whose answer.
        asker: Account and virtual key.
        conversation_id: Hash that requests of one conversation share.
        inquiry: What was asked.
        dialect: Of the lane.
        quirks: Of the lane's provider.
        raw: As the provider sent it: a body, or the pieces of a stream.
        text: Of a whole answer, as the gateway read it; None: it was not read, or there is none.
        finish_reason: Why it ended, in the provider's word or ours.
        asked: Clock reading (monotonic seconds) when the request came in.
        answered: The same when the answer had come to its end.
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
        """How much memory it holds, roughly."""
        answer = len(self.raw) if isinstance(self.raw, bytes) else sum(map(len, self.raw))
        return answer + self.inquiry.context.prompt_characters
