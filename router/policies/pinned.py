"""The caller named the model or the lane: take it. Of several lanes, the caller's order counts first, then cost."""

from dataclasses import dataclass

from router.policies.base import Candidates, Ranking, rank_greedily
from router.policies.kind import PolicyKind
from router.reason import Reason

PINNED = Reason("pinned", "the request asked for it by name", is_final=True)


@dataclass(frozen=True, slots=True)
class Pinned:
    """The caller's own choice, which quality never overrides."""

    name: str = "pinned"

    def rank(self, candidates: Candidates) -> Ranking:
        """Score each lane by -cost in USD; the caller's order comes first, as fallback tiers."""
        return rank_greedily(candidates, -candidates.expectation.cost_usd, PINNED)


KIND = PolicyKind(
    name="pinned",
    help="The model or lane that the request names; of several lanes of it, the cheapest.",
    reasons=(PINNED,),
    make=Pinned,
    may_be_default=False,
)
