"""The lane expected to finish first: the suffix `:nitro` and `provider.sort: "latency"` or `"throughput"`."""

from dataclasses import dataclass

from router.policies.base import Candidates, Ranking, rank_greedily
from router.policies.kind import PolicyKind
from router.reason import Reason

LOWEST_LATENCY = Reason("lowest_latency", "the quickest lane")


@dataclass(frozen=True, slots=True)
class LowestLatency:
    """Shortest expected time to the whole answer, among lanes above the caller's bar where one is given and met."""

    name: str = "lowest_latency"

    def rank(self, candidates: Candidates) -> Ranking:
        """Score each lane by -latency in milliseconds; lanes below the caller's bar come after those above it."""
        bar = candidates.preferences.quality_bar
        is_below = None if bar is None else candidates.expectation.quality < bar
        return rank_greedily(candidates, -candidates.expectation.latency_ms, LOWEST_LATENCY, is_below)


KIND = PolicyKind(
    name="lowest_latency",
    help="The lane that is expected to finish its answer first.",
    reasons=(LOWEST_LATENCY,),
    make=LowestLatency,
)
