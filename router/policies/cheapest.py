"""The lane with the lowest expected cost, whatever its quality: the suffix `:floor` and `provider.sort: "price"`."""

from dataclasses import dataclass

from router.policies.base import Candidates, Ranking, rank_greedily
from router.policies.kind import PolicyKind
from router.reason import Reason

CHEAPEST = Reason("cheapest", "the cheapest lane")


@dataclass(frozen=True, slots=True)
class Cheapest:
    """Lowest expected cost."""

    name: str = "cheapest"

    def rank(self, candidates: Candidates) -> Ranking:
        """Score each lane by -cost in USD."""
        return rank_greedily(candidates, -candidates.expectation.cost_usd, CHEAPEST)


KIND = PolicyKind(
    name="cheapest",
    help="The lane with the lowest expected cost, whatever its quality.",
    reasons=(CHEAPEST,),
    make=Cheapest,
)
