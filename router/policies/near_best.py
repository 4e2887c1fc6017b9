"""Keep a share of the best lane's mean quality for the least money."""

from dataclasses import dataclass

import numpy as np

from router.bar import QUALITY_ALONE_USD, SHIFT_STEP, BarRule
from router.policies.base import Candidates, Ranking, rank_greedily
from router.policies.best_value import BEST_QUALITY_PER_DOLLAR
from router.policies.kind import SHARE, PolicyKind, PolicyNumber
from router.utility import utility_usd

DEFAULT_QUALITY_OF_BEST = 0.95


@dataclass(frozen=True, slots=True)
class NearBest:
    """Follow the rule that keeps the relative bar: weigh quality against cost, or ask one lane.

    The rule is solved for the lanes as they are now, with what was learned of them since the bundle was trained.
    Without a bundle's bar, quality alone decides. It decides too where one lane is asked, and the account's correction
    lowers that lane for this prompt.

    Args:
        default_quality_of_best: Share to keep when the caller gives none, 0..1.
    """

    default_quality_of_best: float = DEFAULT_QUALITY_OF_BEST
    name: str = "near_best"

    def rank(self, candidates: Candidates) -> Ranking:
        """Score each lane by its utility in USD at the solved willingness to pay; the rule's own lane comes first."""
        preferences = candidates.preferences
        share = preferences.quality_of_best
        wanted = self.default_quality_of_best if share is None else share
        bar = candidates.bar
        expectation = candidates.expectation
        rule = BarRule(QUALITY_ALONE_USD)
        if bar is not None:
            rule = bar.rule(candidates.is_eligible, wanted, expectation.quality_shift)
        scores = utility_usd(expectation, rule.willingness_to_pay_usd, preferences.latency_usd_per_s)
        own = expectation.account_shift
        if rule.lane is not None and (own is None or own[rule.lane] > -SHIFT_STEP):
            scores[rule.lane] = np.inf
        return rank_greedily(
            candidates, scores, BEST_QUALITY_PER_DOLLAR, willingness_to_pay_usd=rule.willingness_to_pay_usd
        )


KIND = PolicyKind(
    name="near_best",
    help="The cheapest routing that keeps a share of the best lane's mean quality.",
    reasons=(BEST_QUALITY_PER_DOLLAR,),
    make=NearBest,
    number=PolicyNumber(
        setting="quality_of_best",
        label="share of the best",
        unit=SHARE,
        default=DEFAULT_QUALITY_OF_BEST,
        largest=1.0,
        help="Share of the best lane's mean quality to keep, for near_best.",
        spec_word="share",
    ),
    route_field="quality_of_best",
    needs_reference_answers=True,
)
