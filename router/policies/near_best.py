"""Keep a share of the best lane's mean quality for the least money."""

from dataclasses import dataclass

from router.bar import QUALITY_ALONE_USD
from router.policies.base import Candidates, Ranking, rank_greedily
from router.reason import Reason
from router.utility import utility_usd

DEFAULT_QUALITY_OF_BEST = 0.95


@dataclass(frozen=True, slots=True)
class NearBest:
    """Weigh quality against cost at the price of a good answer that the relative bar asks for; without a bundle's bar, quality alone.

    Args:
        default_quality_of_best: Share wanted where the caller gives none, 0..1.
    """

    default_quality_of_best: float = DEFAULT_QUALITY_OF_BEST
    name: str = "near_best"

    def rank(self, candidates: Candidates) -> Ranking:
        """Score each lane by its utility in USD at the solved willingness to pay."""
        preferences = candidates.preferences
        share = preferences.quality_of_best
        wanted = self.default_quality_of_best if share is None else share
        bar = candidates.bar
        worth = QUALITY_ALONE_USD if bar is None else bar.willingness_to_pay_usd(candidates.is_eligible, wanted)
        scores = utility_usd(candidates.expectation, worth, preferences.latency_usd_per_s)
        return rank_greedily(candidates, scores, Reason.BEST_QUALITY_PER_DOLLAR)
