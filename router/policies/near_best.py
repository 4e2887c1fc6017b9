"""Keep a share of the best lane's mean quality for the least money."""

from dataclasses import dataclass

import numpy as np

from router.bar import QUALITY_ALONE_USD, BarRule
from router.policies.base import Candidates, Ranking, rank_greedily
from router.reason import Reason
from router.utility import utility_usd

DEFAULT_QUALITY_OF_BEST = 0.95


@dataclass(frozen=True, slots=True)
class NearBest:
    """Follow the rule that keeps the relative bar: weigh quality against cost, or ask one lane; without a bundle's bar, quality alone.

    Args:
        default_quality_of_best: Share wanted where the caller gives none, 0..1.
    """

    default_quality_of_best: float = DEFAULT_QUALITY_OF_BEST
    name: str = "near_best"

    def rank(self, candidates: Candidates) -> Ranking:
        """Score each lane by its utility in USD at the solved willingness to pay; a lane that is to answer everything comes first."""
        preferences = candidates.preferences
        share = preferences.quality_of_best
        wanted = self.default_quality_of_best if share is None else share
        bar = candidates.bar
        rule = BarRule(QUALITY_ALONE_USD) if bar is None else bar.rule(candidates.is_eligible, wanted)
        scores = utility_usd(candidates.expectation, rule.willingness_to_pay_usd, preferences.latency_usd_per_s)
        if rule.lane is not None:
            scores[rule.lane] = np.inf
        return rank_greedily(
            candidates, scores, Reason.BEST_QUALITY_PER_DOLLAR, willingness_to_pay_usd=rule.willingness_to_pay_usd
        )
