"""Refusals that mean something else than their HTTP status says.

Example: some providers answer 429 when the account has no credit, or when they have no free capacity.
"""

from dataclasses import dataclass
from typing import Literal

RefusalMeaning = Literal["over_limit", "full", "no_credit", "bad_request"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal of a provider, and what the provider means by it.

    Args:
        status: HTTP status of the refusal.
        says: Word in the body, or in the header `x-amzn-errortype`, that identifies the refusal; empty: any body.
        means: Meaning of the refusal.
            over_limit: a limit of the account is reached, so the account rests.
            full: the provider has no free capacity, so this lane rests and another lane is asked at once.
            no_credit: the account has no credit, so the provider key rests.
            bad_request: the request itself is wrong, and the caller sees the error.
    """

    status: int
    says: str
    means: RefusalMeaning
