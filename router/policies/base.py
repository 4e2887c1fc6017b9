"""The port of a policy, the candidates that it gets, and the ranking that it returns."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from router.arrays import Floats, Ints, Mask
from router.bar import Bar, SolvedBars
from router.context import Preferences
from router.expectation import Expectation
from router.reason import Reason


@dataclass(frozen=True, slots=True)
class Candidates:
    """The lanes that a policy chooses from. Every array has shape (n_lanes,), and at least one lane is eligible.

    Args:
        is_eligible: Lanes that passed every hard filter.
        fallback_tier: Tier of each lane; a lane comes after all lanes of a smaller tier. None: all lanes are in tier 0.
        expectation: Quality, cost and latency of each lane.
        preferences: Soft wishes of the caller.
        bar: Solver of relative bars for these lanes; None: there are no reference answers.
    """

    is_eligible: Mask
    fallback_tier: Ints | None
    expectation: Expectation
    preferences: Preferences
    bar: Bar | SolvedBars | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """A policy's ranking of the lanes.

    Args:
        order: Rows of the eligible lanes, best first; shape (n_eligible,).
        probabilities: Probability with which each lane is drawn, shape (n_lanes,); they sum to 1 and are 0 where not
            eligible.
        reason: Reason why the best lane wins, for the response header.
        willingness_to_pay_usd: Worth of a good answer that quality was weighed with, USD; None: it was not weighed.
        exploration_prices_usd: Expected loss when each lane is drawn instead of the best one, USD, shape (n_lanes,);
            None: the best one is certain.
    """

    order: Ints
    probabilities: Floats
    reason: Reason
    willingness_to_pay_usd: float | None = None
    exploration_prices_usd: Floats | None = None


class Policy(Protocol):
    """Ranks the candidates of one request. Stateless and deterministic: `decide` draws from the probabilities."""

    @property
    def name(self) -> str:
        """The name in settings and logs."""
        ...

    def rank(self, candidates: Candidates) -> Ranking:
        """Return the order and the probabilities of all lanes."""
        ...


def rank_greedily(
    candidates: Candidates,
    scores: Floats,
    reason: Reason,
    is_below_bar: Mask | None = None,
    willingness_to_pay_usd: float | None = None,
) -> Ranking:
    """Return the ranking that always takes the best score: by fallback tier, and within a tier below the bar last.

    Ties go to the first row.
    """
    keys = [-scores, *(key for key in (is_below_bar, candidates.fallback_tier) if key is not None)]
    order = keys[0].argsort(kind="stable") if len(keys) == 1 else np.lexsort(keys)
    if np.count_nonzero(candidates.is_eligible) < len(order):
        order = order[candidates.is_eligible[order]]
    probabilities = np.zeros(len(scores))
    probabilities[order[0]] = 1.0
    return Ranking(order, probabilities, reason, willingness_to_pay_usd)
