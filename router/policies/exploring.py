"""Exploration around another policy: now and then a lane that is not the best one answers, so that there is something to learn from."""

from dataclasses import dataclass, replace

import numpy as np

from router.arrays import Floats, Mask
from router.policies.base import Candidates, Policy, Ranking
from router.price_table import NUSD_PER_USD
from router.utility import utility_usd

LEAST_DOUBT = 0.05
"""No belief about quality counts as surer than this standard deviation: the traffic of today is not what the bundle was trained on."""
DEVIATIONS_OF_HOPE = 2.0
"""A lane is tried only while so many deviations of doubt about its quality could make it the better choice."""


@dataclass(frozen=True, slots=True)
class ExplorationTerms:
    """How far exploration may go; the same for every request.

    Args:
        share: Of the requests on which there is a lane to try, how many try one, 0..1.
        quality_bar: P(good answer) below which no lane is tried, 0..1, where the caller gives no bar.
        most_lanes: So many are tried at most.
        willingness_to_pay_usd: What a good answer is worth, USD, where the policy does not weigh quality against cost.
    """

    share: float
    quality_bar: float
    most_lanes: int
    willingness_to_pay_usd: float


@dataclass(frozen=True, slots=True)
class Exploring:
    """The mixture (1 - share) x the best lane + share x the lanes that are worth a try, each as likely as its quality is uncertain.

    Which lanes these are is known before anything is drawn, and only those count whose price fits into what is left of the ceiling: the
    probabilities are those of the draw, whatever comes of it.

    Args:
        base: Ranks; its order stands.
        terms: How far to go.
        left_nusd: What one exploration may be expected to give up at most, in 10^-9 USD.
    """

    base: Policy
    terms: ExplorationTerms
    left_nusd: int

    @property
    def name(self) -> str:
        """The base policy's: whether a request was explored says its reason."""
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
        """Return the rows of the lanes that are worth a try, those of most promise."""
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
    """Return what each lane is expected to give up against the best one, USD, shape (n_lanes,): utility, and never less than the money it costs more.

    The discount of a prompt cache that holds the conversation is in the best lane's cost, and so in the price of going elsewhere.
    """
    expectation, best = candidates.expectation, ranking.order[0]
    utility = utility_usd(expectation, _worth(ranking, terms), candidates.preferences.latency_usd_per_s)
    given_up: Floats = np.maximum(utility[best] - utility, expectation.cost_usd - expectation.cost_usd[best])
    return np.maximum(given_up, 0.0)


def _worth(ranking: Ranking, terms: ExplorationTerms) -> float:
    return terms.willingness_to_pay_usd if ranking.willingness_to_pay_usd is None else ranking.willingness_to_pay_usd
