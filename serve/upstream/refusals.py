"""How a provider's refusals differ from what their status says: a 429 that means no credit, or no room, and not a limit of ours."""

from dataclasses import dataclass
from typing import Literal

RefusalMeaning = Literal["over_limit", "full", "no_credit", "bad_request"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal of a provider's that means something of its own.

    Args:
        status: Its HTTP status.
        says: A word of its body, or of the header `x-amzn-errortype`, by which it is known; empty: any body.
        means: over_limit: the account rests; full: the provider is, so this lane rests and another one is asked at once; no_credit: the
            provider key is of no use for now; bad_request: the request is at fault, and the caller sees the error.
    """

    status: int
    says: str
    means: RefusalMeaning
