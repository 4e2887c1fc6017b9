"""Exploration around another policy: now and then a lane that is not the best one answers, to learn from it."""

from dataclasses import dataclass, replace

import numpy as np

from router.arrays import Floats, Mask
from router.policies.base import Candidates, Policy, Ranking
from router.price_table import NUSD_PER_USD
from router.utility import utility_usd

LEAST_DOUBT = 0.05
"""Smallest standard deviation of a belief about quality: today's traffic differs from the bundle's training data."""
DEVIATIONS_OF_HOPE = 2.0
"""A lane is tried only if it would be the better choice with a quality this many standard deviations higher."""


@dataclass(frozen=True, slots=True)
class ExplorationTerms:
    """The limits of exploration, the same for every request.

    Args:
        share: Share of the requests with a lane to try that try one, 0..1.
        quality_bar: P(good answer) below which no lane is tried when the caller gives no bar, 0..1.
        most_lanes: Largest number of lanes that a request may try.
        willingness_to_pay_usd: Worth of a good answer when the policy does not weigh quality against cost, USD.
    """

    share: float
    quality_bar: float
    most_lanes: int
    willingness_to_pay_usd: float


@dataclass(frozen=True, slots=True)
class Exploring:
    """Draws the best lane with probability 1 - share, else one of the lanes that are worth a try, by their uncertainty.

    These lanes are known before the draw. Only lanes whose price fits the rest of the budget count. So the
    probabilities are those of the draw, whatever its result.

    Args:
        base: Policy that ranks; its order does not change.
        terms: Limits of exploration.
        left_nusd: Largest expected loss of one exploration, 10^-9 USD.
    """

    base: Policy
    terms: ExplorationTerms
    left_nusd: int

    @property
    def name(self) -> str:
        """The name of the base policy; the reason tells whether a request was explored."""
        return self.base.name

    def rank(self, candidates: Candidates) -> Ranking:
        """Return the base policy's ranking, with a share of the probability on the lanes that are worth a try."""
        ranking = self.base.rank(candidates)
        if self.left_nusd <= 0 or len(ranking.order) < 2:
            return ranking
        prices = exploration_prices_usd(candidates, ranking, self.terms)
        tried = self._tried(candidates, ranking, prices)
        if not len(tried):
            return ranking
        doubt = np.maximum(candidates.expectation.quality_std[tried], LEAST_DOUBT)
        probabilities = ranking.probabilities * (1 - self.terms.share)
        probabilities[tried] += self.terms.share * doubt / doubt.sum()
        return replace(ranking, probabilities=probabilities, exploration_prices_usd=prices)

    def _tried(
        self, candidates: Candidates, ranking: Ranking, prices: Floats
    ) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """Return the rows of the lanes that are worth a try, the most promising first."""
        expectation, terms = candidates.expectation, self.terms
        bar = candidates.preferences.quality_bar
        hope = DEVIATIONS_OF_HOPE * _worth(ranking, terms) * np.maximum(expectation.quality_std, LEAST_DOUBT)
        promise = hope - prices
        is_tried: Mask = (
            candidates.is_eligible
            & (expectation.quality >= (terms.quality_bar if bar is None else bar))
            & (promise >= 0)
            & (prices * NUSD_PER_USD <= self.left_nusd - 1)  # one for rounding up
        )
        best = ranking.order[0]
        is_tried[best] = False
        if candidates.fallback_tier is not None:
            is_tried &= candidates.fallback_tier <= candidates.fallback_tier[best]
        rows = np.flatnonzero(is_tried)
        return rows[(-promise[rows]).argsort(kind="stable")[: terms.most_lanes]]


def exploration_prices_usd(candidates: Candidates, ranking: Ranking, terms: ExplorationTerms) -> Floats:
    """Return the expected loss when each lane is drawn instead of the best one, USD, shape (n_lanes,).

    It is the lost utility, and at least the additional cost. The best lane's cost has the discount of its prompt cache,
    and so has the price of leaving that cache.
    """
    expectation, best = candidates.expectation, ranking.order[0]
    utility = utility_usd(expectation, _worth(ranking, terms), candidates.preferences.latency_usd_per_s)
    loss: Floats = np.maximum(utility[best] - utility, expectation.cost_usd - expectation.cost_usd[best])
    return np.maximum(loss, 0.0)


def _worth(ranking: Ranking, terms: ExplorationTerms) -> float:
    return terms.willingness_to_pay_usd if ranking.willingness_to_pay_usd is None else ranking.willingness_to_pay_usd
