"""The cheapest lane whose expected quality meets the caller's bar; when none does, the best one there is."""

from dataclasses import dataclass

import numpy as np

from router.policies.base import Candidates, Ranking, rank_greedily
from router.reason import Reason


@dataclass(frozen=True, slots=True)
class CheapestAboveBar:
    """Cheapest above a quality bar.

    Args:
        default_bar: P(good) wanted where the caller gives no bar, 0..1.
    """

    default_bar: float = 0.7
    name: str = "cheapest_above_bar"

    def rank(self, candidates: Candidates) -> Ranking:
        """Score lanes above the bar by -cost, lanes below it by quality (so that fallbacks go to the next best)."""
        bar = candidates.preferences.quality_bar
        expectation = candidates.expectation
        is_below = expectation.quality < (self.default_bar if bar is None else bar)
        scores = np.where(is_below, expectation.quality, -expectation.cost_usd)
        any_above = bool((candidates.is_eligible & ~is_below).any())
        return rank_greedily(
            candidates, scores, Reason.CHEAPEST_ABOVE_BAR if any_above else Reason.BEST_BELOW_BAR, is_below
        )
