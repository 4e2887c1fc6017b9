"""Best quality per dollar: maximise value of quality x P(good) - cost - latency penalty, all in USD."""

from dataclasses import dataclass

from router.policies.base import Candidates, Ranking, rank_greedily
from router.policies.kind import PolicyKind, PolicyNumber
from router.reason import Reason
from router.utility import utility_usd

DEFAULT_WILLINGNESS_TO_PAY_USD = 0.01
BEST_QUALITY_PER_DOLLAR = Reason("best_quality_per_dollar", "the best quality for its cost")


@dataclass(frozen=True, slots=True)
class BestValue:
    """Weigh quality against cost at a price for a good answer.

    Args:
        default_willingness_to_pay_usd: Worth of a good answer when the caller does not give one, USD.
    """

    default_willingness_to_pay_usd: float = DEFAULT_WILLINGNESS_TO_PAY_USD
    name: str = "best_value"

    def rank(self, candidates: Candidates) -> Ranking:
        """Score each lane by its utility in USD."""
        preferences = candidates.preferences
        value = preferences.willingness_to_pay_usd
        worth = self.default_willingness_to_pay_usd if value is None else value
        scores = utility_usd(candidates.expectation, worth, preferences.latency_usd_per_s)
        return rank_greedily(candidates, scores, BEST_QUALITY_PER_DOLLAR, willingness_to_pay_usd=worth)


KIND = PolicyKind(
    name="best_value",
    help="The best quality for its cost: the largest worth × P(good) − cost.",
    reasons=(BEST_QUALITY_PER_DOLLAR,),
    make=BestValue,
    number=PolicyNumber(
        setting="willingness_to_pay_usd",
        label="worth of a good answer",
        unit="USD",
        default=DEFAULT_WILLINGNESS_TO_PAY_USD,
        largest=1_000.0,
        help="What a good answer is worth, USD, for best_value.",
        spec_word="worth",
    ),
)
