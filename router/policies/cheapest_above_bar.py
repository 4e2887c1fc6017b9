"""The cheapest lane whose expected quality meets the caller's bar; when none does, the best one there is."""

from dataclasses import dataclass

import numpy as np

from router.policies.base import Candidates, Ranking, rank_greedily
from router.policies.kind import SHARE, PolicyKind, PolicyNumber
from router.reason import Reason

DEFAULT_BAR = 0.7
CHEAPEST_ABOVE_BAR = Reason("cheapest_above_bar", "the cheapest lane expected to meet the quality bar")
BEST_BELOW_BAR = Reason("best_below_bar", "no lane is expected to meet the bar, so the one expected to be best")


@dataclass(frozen=True, slots=True)
class CheapestAboveBar:
    """Cheapest above a quality bar.

    Args:
        default_bar: P(good answer) wanted when the caller gives no bar, 0..1.
    """

    default_bar: float = DEFAULT_BAR
    name: str = "cheapest_above_bar"

    def rank(self, candidates: Candidates) -> Ranking:
        """Score lanes above the bar by -cost, lanes below it by quality (so that fallbacks go to the next best)."""
        bar = candidates.preferences.quality_bar
        expectation = candidates.expectation
        is_below = expectation.quality < (self.default_bar if bar is None else bar)
        scores = np.where(is_below, expectation.quality, -expectation.cost_usd)
        any_above = bool((candidates.is_eligible & ~is_below).any())
        return rank_greedily(candidates, scores, CHEAPEST_ABOVE_BAR if any_above else BEST_BELOW_BAR, is_below)


KIND = PolicyKind(
    name="cheapest_above_bar",
    help="The cheapest lane that is expected to meet the bar, else the best lane.",
    reasons=(CHEAPEST_ABOVE_BAR, BEST_BELOW_BAR),
    make=CheapestAboveBar,
    number=PolicyNumber(
        setting="quality_bar",
        label="least quality",
        unit=SHARE,
        default=DEFAULT_BAR,
        largest=1.0,
        help="P(good answer) wanted, for cheapest_above_bar.",
        spec_word="bar",
    ),
    route_field="quality",
)
