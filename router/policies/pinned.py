"""The caller named the model or the lane: take it; where several lanes host it, its order of preference, then the cheapest."""

from dataclasses import dataclass

from router.policies.base import Candidates, Ranking, rank_greedily
from router.reason import Reason


@dataclass(frozen=True, slots=True)
class Pinned:
    """The caller's own choice, which quality never overrides."""

    name: str = "pinned"

    def rank(self, candidates: Candidates) -> Ranking:
        """Score each lane by -cost in USD; the caller's order comes first, as fallback tiers."""
        return rank_greedily(candidates, -candidates.expectation.cost_usd, Reason.PINNED)
