"""Best quality per dollar: maximise value of quality x P(good) - cost - latency penalty, all in USD."""

from dataclasses import dataclass

from router.policies.base import Candidates, Ranking, rank_greedily
from router.reason import Reason
from router.utility import utility_usd

DEFAULT_WILLINGNESS_TO_PAY_USD = 0.01


@dataclass(frozen=True, slots=True)
class BestValue:
    """Weigh quality against cost at a price for a good answer.

    Args:
        default_willingness_to_pay_usd: What a good answer is worth where the caller does not say, USD.
    """

    default_willingness_to_pay_usd: float = DEFAULT_WILLINGNESS_TO_PAY_USD
    name: str = "best_value"

    def rank(self, candidates: Candidates) -> Ranking:
        """Score each lane by its utility in USD."""
        preferences = candidates.preferences
        value = preferences.willingness_to_pay_usd
        worth = self.default_willingness_to_pay_usd if value is None else value
        scores = utility_usd(candidates.expectation, worth, preferences.latency_usd_per_s)
        return rank_greedily(candidates, scores, Reason.BEST_QUALITY_PER_DOLLAR, willingness_to_pay_usd=worth)
