"""The policy port, and the candidates that every policy sees."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from router.arrays import Floats, Ints, Mask
from router.bar import Bar
from router.context import Preferences
from router.expectation import Expectation
from router.reason import Reason


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a policy chooses from; every array has shape (n_lanes,), and at least one lane is eligible.

    Args:
        is_eligible: Lanes that passed every hard filter.
        fallback_tier: Tier of each lane; a lane comes after all lanes of a smaller tier. None: all lanes are in tier 0.
        expectation: Quality, cost and latency of each lane.
        preferences: The caller's bar and trade-off.
        bar: Solves relative bars for these lanes; None: nothing is known of how the lanes compare.
    """

    is_eligible: Mask
    fallback_tier: Ints | None
    expectation: Expectation
    preferences: Preferences
    bar: Bar | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """A policy's judgement.

    Args:
        order: Rows of the eligible lanes, best first; shape (n_eligible,).
        probabilities: With which each lane is drawn; sums to 1, zero where not eligible; shape (n_lanes,).
        reason: Why the best lane wins, for the response header.
        willingness_to_pay_usd: At which quality was weighed against cost, USD; None: it was not weighed.
        exploration_prices_usd: What drawing each lane instead of the best is expected to give up, USD, shape (n_lanes,); None: the best is certain.
    """

    order: Ints
    probabilities: Floats
    reason: Reason
    willingness_to_pay_usd: float | None = None
    exploration_prices_usd: Floats | None = None


class Policy(Protocol):
    """Ranks the candidates of one request. Stateless and deterministic; whoever asks draws from the probabilities."""

    @property
    def name(self) -> str:
        """As configured and as logged."""
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
    """Return the ranking that always takes the best score: by fallback tier, within a tier the lanes below the bar last.

    Ties go to the first row.
    """
    keys = [-scores, *(key for key in (is_below_bar, candidates.fallback_tier) if key is not None)]
    order = keys[0].argsort(kind="stable") if len(keys) == 1 else np.lexsort(keys)
    if np.count_nonzero(candidates.is_eligible) < len(order):
        order = order[candidates.is_eligible[order]]
    probabilities = np.zeros(len(scores))
    probabilities[order[0]] = 1.0
    return Ranking(order, probabilities, reason, willingness_to_pay_usd)
